/* SPDX-License-Identifier: BSD-3-Clause */
/* test_idl.c - interface files: what is taken and how, where mistakes are seen. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/idl.h"
#include "tests/harness.h"
#include "util/text.h"

/* The file that a text makes; NULL after saying why not. */
static struct idl *parsed(const char *text)
{
	struct idl_error error;
	struct idl *idl = NULL;

	if (idl_parse("t.x", text, strlen(text), &idl, &error) < 0)
		printf("  %s\n", error.text);
	HOLDS(idl != NULL);
	return idl;
}

static void refused(const char *text, const char *why)
{
	struct idl_error error = { "" };
	struct idl *idl = NULL;

	if (!EQUAL(idl_parse("t.x", text, strlen(text), &idl, &error), -1) ||
	    !SAME_TEXT(error.text, why))
		printf("  text: %s\n", text);
	idl_free(idl);
}

/* --- The language ------------------------------------------------------------------------------ */

static void test_a_mistake_is_told_with_its_place_and_what_was_expected(void)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "x",
		    "t.x:1:1: unexpected \"x\"; expected \"const\", \"enum\", \"struct\", \"union\", "
		    "\"typedef\" or \"program\"" },
		{ "const A = ;",
		    "t.x:1:11: unexpected \";\"; expected a number or the name of a constant" },
		{ "const A 1;", "t.x:1:9: unexpected \"1\"; expected \"=\"" },
		{ "const A = 1", "t.x:1:12: unexpected the end of the file; expected \";\"" },
		{ "\n  const int = 1;",
		    "t.x:2:9: \"int\" is a word of the language; expected a name for the constant" },
		{ "const A = 09;",
		    "t.x:1:11: \"09\" is no number; expected decimal, 0x... or octal digits" },
		{ "const A = 0x;",
		    "t.x:1:11: \"0x\" is no number; expected decimal, 0x... or octal digits" },
		{ "const A = 1; const A = 2;",
		    "t.x:1:20: \"A\" is defined a second time; the first is at t.x:1:7" },
		{ "const A = B; const B = A;", "t.x:1:7: \"A\" is defined by itself" },
		{ "struct s { };", "t.x:1:12: unexpected \"}\"; expected a type" },
		{ "struct s { int a };", "t.x:1:18: unexpected \"}\"; expected \";\"" },
		{ "struct s {\n\tint a;\n\tint a;\n};",
		    "t.x:3:6: there is a member \"a\" already" },
		{ "struct s { void; };", "t.x:1:12: unexpected \"void\"; expected a type" },
		{ "struct s { int a; }; typedef int s;",
		    "t.x:1:34: the type \"s\" is defined a second time; the first is at t.x:1:8" },
		{ "struct s { string a; };",
		    "t.x:1:20: unexpected \";\"; expected \"<\": a string has a bound, or <>" },
		{ "struct s { string a[3]; };",
		    "t.x:1:20: unexpected \"[\"; expected \"<\": a string has a bound, or <>" },
		{ "struct s { opaque a; };",
		    "t.x:1:20: unexpected \";\"; expected \"[\" or \"<\": opaque has a size or a bound" },
		{ "struct s { quadruple q; };",
		    "t.x:1:12: quadruple is not supported; expected another type" },
		{ "struct s { int a[]; };",
		    "t.x:1:18: unexpected \"]\"; expected a number or the name of a constant" },
		{ "struct s { int a[3; };", "t.x:1:19: unexpected \";\"; expected \"]\"" },
		{ "struct s { int a[-1]; };",
		    "t.x:1:18: this number is out of range; expected 0 to 4294967295" },
		{ "struct s { int a<4294967296>; };",
		    "t.x:1:18: this number is out of range; expected 0 to 4294967295" },
		{ "struct s { int a[1][2]; };", "t.x:1:20: unexpected \"[\"; expected \";\"" },
		{ "enum e { A, };", "t.x:1:13: unexpected \"}\"; expected the name of a value" },
		{ "enum e { A = 1 B };", "t.x:1:16: unexpected \"B\"; expected \",\" or \"}\"" },
		{ "enum e { A = X };", "t.x:1:10: \"X\" is not defined in this file" },
		{ "enum e { A = 0xffffffff, B };",
		    "t.x:1:26: this number is out of range; expected -2147483648 to 4294967295" },
		{ "union u switch (int a) { };", "t.x:1:26: unexpected \"}\"; expected \"case\"" },
		{ "union u switch (int a) { case 1: int b; case 2: case 1: void; };",
		    "t.x:1:54: this case is there already, at 1:31" },
		{ "union u switch (int a) { default: void; case 1: void; };",
		    "t.x:1:26: unexpected \"default\"; expected \"case\"" },
		{ "union u switch (hyper a) { case 1: void; };",
		    "t.x:1:23: the discriminant \"a\" is neither int, unsigned int, bool nor enum" },
		{ "typedef a b; typedef b a;", "t.x:1:9: the type \"a\" is defined by itself" },
		{ "program P { version V { void F(void) = 1; } = X; } = 1;",
		    "t.x:1:47: \"X\" is not defined in this file" },
		{ "program P { version V { void F(void) = -1; } = 1; } = 1;",
		    "t.x:1:40: this number is out of range; expected 0 to 4294967295" },
		{ "program P { version V { void F(int, void) = 1; } = 1; } = 1;",
		    "t.x:1:37: unexpected \"void\"; expected a type" },
		{ "program P { version V { void F(int) } = 1; } = 1;",
		    "t.x:1:37: unexpected \"}\"; expected \"=\"" },
		{ "const A = 1; /* open", "t.x:1:14: this comment has no end; expected */" },
		{ "const A = \"open;\n", "t.x:1:11: this text has no end; expected \"" },
		{ "const A = 1 ! 2;", "t.x:1:13: \"!\" has no meaning here" },
		{ "const A = \x01;", "t.x:1:11: the byte 0x01 has no meaning here" },
		{ "#ifdef A\nconst A = 1;\n",
		    "t.x:1:1: this condition is not closed; expected #endif" },
		{ "\n #endif\n", "t.x:2:2: #endif without #if" },
		{ "#if 0\n#else\n#elif 1\n#endif\n",
		    "t.x:3:1: #elif after #else; expected #endif" },
		{ "#if 1 +\n#endif\n", "t.x:1:1: in this condition: expected a name" },
		{ "#if 1/0\n#endif\n", "t.x:1:1: in this condition: division by zero" },
		{ "#foo\n", "t.x:1:1: there is no directive \"#foo\"" },
		{ "#error not this way\n", "t.x:1:1: #error not this way" },
		{ "#include \"a.x\"\n", "t.x:1:1: this text cannot include files" },
		{ "#define F(x) x\nconst A = F(1);",
		    "t.x:2:11: \"F\" is a macro with arguments, which are "
		    "not supported here" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused(cases[i].text, cases[i].why);
}

static void test_what_is_too_deep_or_too_long_is_refused(void)
{
	char text[8192] = "", why[128];
	size_t n = 0;

	for (int i = 0; i <= IDL_DEPTH_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "struct %s{ ", i ? "" : "s ");
	snprintf(why, sizeof(why), "t.x:1:%d: types are more than 32 deep in each other",
	    12 + (IDL_DEPTH_MAX - 1) * 9);
	refused(text, why);

	/* The file is one, and each macro inside another. */
	for (int deepest = IDL_DEPTH_MAX - 2; deepest < IDL_DEPTH_MAX; deepest++) {
		n = (size_t)snprintf(text, sizeof(text), "#define M0 1\n");
		for (int i = 1; i <= deepest; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "#define M%d M%d\n", i,
			    i - 1);
		(void)snprintf(text + n, sizeof(text) - n, "const A = M%d;", deepest);
		if (deepest == IDL_DEPTH_MAX - 2)
			idl_free(parsed(text));
		else
			refused(text,
			    "t.x:33:11: files or macros are more than 32 deep in each other");
	}
	n = (size_t)snprintf(text, sizeof(text), "#define M0 1 1 1 1 1 1 1 1\n");
	for (int i = 1; i < 20; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "#define M%d M%d M%d\n", i, i - 1,
		    i - 1);
	(void)snprintf(text + n, sizeof(text) - n, "#if M19\n#endif\n");
	refused(text, "t.x:21:1: in this condition: a macro's text is no expression");
	memset(text, 'a', 300);
	text[300] = '\0';
	refused(text, "t.x:1:301: a word of 300 bytes; expected at most 255");
}

static void test_a_file_over_the_limit_is_refused_and_one_at_it_is_not(void)
{
	char *text = malloc(IDL_FILE_BYTES + 1);
	struct idl_error error = { "" };
	struct idl *idl = NULL;

	if (!HOLDS(text != NULL))
		return;
	memset(text, ' ', IDL_FILE_BYTES + 1);
	EQUAL(idl_parse("t.x", text, IDL_FILE_BYTES, &idl, &error), 0);
	idl_free(idl);
	idl = NULL;
	EQUAL(idl_parse("t.x", text, IDL_FILE_BYTES + 1, &idl, &error), -1);
	SAME_TEXT(error.text, "t.x is longer than 4194304 bytes");
	free(text);
}

static const struct idl_type *type_of(const struct idl *idl, const char *name)
{
	struct idl_type *type = idl ? idl_type_find(idl, name) : NULL;

	return HOLDS(type != NULL) ? idl_type_real(type) : NULL;
}

static uint32_t size_of(const struct idl *idl, const char *name)
{
	const struct idl_type *type = type_of(idl, name);

	return type ? type->size : 0;
}

static void test_constants_have_their_values_wherever_they_are_defined(void)
{
	struct idl *idl = parsed("typedef opaque a<C>; typedef opaque b<D>; typedef opaque c<E2>;\n"
				 "typedef opaque d<F>; typedef opaque e<G>; \n"
				 "typedef opaque g<P>; typedef opaque h<V>; typedef opaque i<>;\n"
				 "typedef opaque j<K>; typedef opaque k<TRUE>;\n"
				 "%#define K 77 /* C's */\n"
				 "#define M (\n#undef M\n#define M 0x20\ntypedef opaque f<M>;\n"
				 "const C = D; const D = 017; enum en { E0, E1 = 7, E2 };\n"
				 "const F = F2; const G = E1;\n"
				 "program N { version V { void P(void) = 5; } = F2; } = 99;\n"
				 "const F2 = 3; const text = \"of C\";\n");

	if (!idl)
		return;
	EQUAL(size_of(idl, "a"), 15);
	EQUAL(size_of(idl, "b"), 15);
	EQUAL(size_of(idl, "c"), 8);
	EQUAL(size_of(idl, "d"), 3);
	EQUAL(size_of(idl, "e"), 7);
	EQUAL(size_of(idl, "f"), 32);
	EQUAL(size_of(idl, "g"), 5);
	EQUAL(size_of(idl, "h"), 3);
	EQUAL(size_of(idl, "i"), IDL_UNBOUNDED);
	EQUAL(size_of(idl, "j"), 77);
	EQUAL(size_of(idl, "k"), 1);
	EQUAL(idl_programs(idl)->number, 99);
	EQUAL(idl_programs(idl)->versions->number, 3);
	EQUAL(idl_programs(idl)->versions->procedures->number, 5);
	idl_free(idl);
}

static void test_conditions_choose_lines_as_the_preprocessor_does(void)
{
	static const struct {
		const char *condition;
		bool holds;
	} cases[] = {
		{ "#if 1", true },
		{ "#if 0", false },
		{ "#if RPC_HDR", false },
		{ "#ifdef RPC_HDR", false },
		{ "#ifndef RPC_HDR", true },
		{ "#define A\n#ifdef A", true },
		{ "#define A\n#undef A\n#ifdef A", false },
		{ "#define A 3\n#if A == 3 && !defined(B)", true },
		{ "#if defined B || (2 + 3) * 4 == 20", true },
		{ "#if 2 + 3 * 4 != 14", false },
		{ "#if 1 << 4 > 15", true },
		{ "#if -1 < 0 /* a\n comment */ ", true },
		{ "#if 7 % 4 == 3 \\\n && 1", true },
		{ "#if 10 - 3 - 2 == 5", true },
		{ "#if 0x10 == 16 && 010 == 8 && ~0 == -1", true },
		{ "  #  if 1 // so", true },
		{ "#if 0\n#elif 1", true },
		{ "#if 1\n#elif 1\nnonsense !\n#endif\n#if 1", true },
		{ "#if 0\n#if 1\nnonsense\n#else\nnonsense\n#endif\n#elif 1", true },
		{ "#if 0\n%nonsense /*\n#elif 1", true },
		{ "#if 0\n nonsense /*\n#else\n*/\n#endif\n#if 1", true },
		{ "#define S S\n#if S", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];
		struct idl *idl;

		snprintf(text, sizeof(text),
		    "%s\ntypedef int yes;\n#else\ntypedef int no;\n#endif\n", cases[i].condition);
		idl = parsed(text);
		if (!idl || !EQUAL(idl_type_find(idl, "yes") != NULL, cases[i].holds) ||
		    !EQUAL(idl_type_find(idl, "no") != NULL, !cases[i].holds))
			printf("  %s\n", cases[i].condition);
		idl_free(idl);
	}
}

static void test_types_are_told_as_they_are_written(void)
{
	static const struct {
		const char *declaration, *text;
	} cases[] = {
		{ "unsigned m", "unsigned int" },
		{ "unsigned char m", "unsigned char" },
		{ "unsigned short m", "unsigned short" },
		{ "unsigned long m", "unsigned int" },
		{ "unsigned hyper m", "unsigned hyper" },
		{ "long m", "int" },
		{ "hyper m", "hyper" },
		{ "float m", "float" },
		{ "double m", "double" },
		{ "bool m", "bool" },
		{ "string m<>", "string<>" },
		{ "string m<7>", "string<7>" },
		{ "opaque m<>", "opaque<>" },
		{ "opaque m[7]", "opaque[7]" },
		{ "int m<7>", "int<7>" },
		{ "struct s m[7]", "s[7]" },
		{ "struct s *m", "s *" },
		{ "enum { A, B } m", "enum" },
		{ "struct { int x; } m", "struct" },
		{ "union switch (bool b) { case TRUE: int x; case FALSE: void; } m", "union" },
		{ "u_int m", "u_int" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256], told[64];
		const struct idl_type *type;
		struct idl *idl;

		snprintf(text, sizeof(text), "struct s { int a; }; struct t { %s; };",
		    cases[i].declaration);
		idl = parsed(text);
		type = type_of(idl, "t");
		if (type) {
			idl_type_text(type->members[0].type, told, sizeof(told));
			SAME_TEXT(told, cases[i].text);
		}
		idl_free(idl);
	}
}

static void test_what_a_file_lacks_is_a_mistake_only_when_used(void)
{
	struct idl *idl = parsed("struct a { int x; };\n"
				 "struct b { a y; other *z; };\n"
				 "typedef opaque c<OTHER>;\n"
				 "union d switch (int i) { case HERE: c x; };\n");
	struct idl_error error;

	if (!idl)
		return;
	EQUAL(idl_check(idl_type_find(idl, "a"), &error), 0);
	EQUAL(idl_check(idl_type_find(idl, "b"), &error), -1);
	SAME_TEXT(error.text, "t.x:2:17: \"other\" is not defined in this file");
	EQUAL(idl_check(idl_type_find(idl, "c"), &error), -1);
	SAME_TEXT(error.text, "t.x:3:18: \"OTHER\" is not defined in this file");
	EQUAL(idl_check(idl_type_find(idl, "d"), &error), -1);
	SAME_TEXT(error.text, "t.x:4:31: \"HERE\" is not defined in this file");
	idl_free(idl);
}

static void test_procedures_have_their_arguments_and_results(void)
{
	struct idl *idl = parsed("program P { version V {\n"
				 "void A(void) = 0;\n"
				 "string B(string, int count, opaque<8>, unsigned) = 1;\n"
				 "struct s *C(struct s *) = 2;\n"
				 "} = 1; version W { int A(int) = 0; } = 2; } = 0x20000001;\n"
				 "struct s { int x; };");
	const struct idl_procedure *a, *b, *c;
	const struct idl_program *p;

	refused("program Q { version V2 { void D() = 0; } = 1; } = 2;",
	    "t.x:1:33: unexpected \")\"; expected a type");
	if (!idl)
		return;
	p = idl_programs(idl);
	a = p->versions->procedures;
	b = a->next;
	c = b->next;
	EQUAL(p->number, 0x20000001);
	EQUAL(p->versions->next->number, 2);
	EQUAL(a->n_arguments, 0);
	EQUAL(a->result->kind, IDL_VOID);
	if (EQUAL(b->n_arguments, 4)) {
		EQUAL(b->arguments[0]->kind, IDL_STRING);
		EQUAL(b->arguments[1]->kind, IDL_INT);
		EQUAL(b->arguments[2]->kind, IDL_OPAQUE);
		EQUAL(b->arguments[2]->size, 8);
		EQUAL(b->arguments[3]->kind, IDL_UNSIGNED);
	}
	EQUAL(b->result->kind, IDL_STRING);
	EQUAL(c->result->kind, IDL_OPTIONAL);
	EQUAL(c->n_arguments, 1);
	EQUAL(p->versions->next->procedures->result->kind, IDL_INT);
	idl_free(idl);
}

SUITE(idl, TEST(test_a_mistake_is_told_with_its_place_and_what_was_expected),
    TEST(test_what_is_too_deep_or_too_long_is_refused),
    TEST(test_a_file_over_the_limit_is_refused_and_one_at_it_is_not),
    TEST(test_constants_have_their_values_wherever_they_are_defined),
    TEST(test_conditions_choose_lines_as_the_preprocessor_does),
    TEST(test_types_are_told_as_they_are_written),
    TEST(test_what_a_file_lacks_is_a_mistake_only_when_used),
    TEST(test_procedures_have_their_arguments_and_results));

/* --- Files ------------------------------------------------------------------------------------- */

/* Reads every file of a pattern; how many there are. */
static size_t read_all(const char *pattern)
{
	glob_t found;
	size_t n = 0;

	if (glob(pattern, 0, NULL, &found) != 0)
		return 0;
	for (; n < found.gl_pathc; n++) {
		struct idl_error error = { "" };
		struct idl *idl = NULL;

		idl_read(found.gl_pathv[n], &idl, &error);
		SAME_TEXT(error.text, "");
		idl_free(idl);
	}
	globfree(&found);
	return n;
}

static void test_every_file_of_ours_is_understood_and_complete(void)
{
	static const char *const files[] = { "clipboard", "control", "mailslot", "pipe" };

	HOLDS(read_all("idl/*.x") >= 5);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct idl_error error = { "" };
		struct idl *idl = NULL;
		char path[64];

		snprintf(path, sizeof(path), "idl/%s.x", files[i]);
		if (!EQUAL(idl_read(path, &idl, &error), 0))
			continue;
		for (const struct idl_version *v = idl_programs(idl)->versions; v; v = v->next)
			for (const struct idl_procedure *p = v->procedures; p; p = p->next) {
				idl_check(p->result, &error);
				for (size_t j = 0; j < p->n_arguments; j++)
					idl_check(p->arguments[j], &error);
				SAME_TEXT(error.text, "");
			}
		idl_free(idl);
	}
}

static void test_every_file_of_rpcsvc_is_understood(void)
{
	if (read_all("/usr/include/rpcsvc/*.x") == 0)
		skip_test("there are no files in /usr/include/rpcsvc");
}

static void test_the_files_of_libtirpc_are_understood(void)
{
	if (read_all("/usr/include/tirpc/rpc/*.x") == 0)
		skip_test("there are no files in /usr/include/tirpc/rpc");
}

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	text_format(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	if (HOLDS(file != NULL)) {
		fputs(text, file);
		fclose(file);
	}
}

static void read_main(const char *folder, const char *text, const char *why)
{
	struct idl_error error = { "" };
	struct idl *idl = NULL;
	char path[256], full[512] = "";

	write_file(folder, "main.x", text);
	text_format(path, sizeof(path), "%s/main.x", folder);
	idl_read(path, &idl, &error);
	if (*why)
		text_format(full, sizeof(full), "%s/%s", folder, why);
	if (!HOLDS(strncmp(error.text, full, strlen(full)) == 0 && !*error.text == !*why))
		printf("  text: %s\n", text);
	idl_free(idl);
}

static void test_files_are_included_once_and_from_beside_the_file(void)
{
	char folder[] = "/tmp/ipc9-idl.XXXXXX", path[256];
	static const char *const names[] = { "main.x", "a.x", "b.x", "m.h" };

	if (!HOLDS(mkdtemp(folder) != NULL))
		return;
	write_file(folder, "a.x", "%#include \"b.h\"\ntypedef b a;\n");
	write_file(folder, "b.x", "#include \"a.x\"\ntypedef int b;\n");
	write_file(folder, "m.h", "#define M 5\n");
	read_main(folder, "#include \"a.x\"\n#include \"b.x\"\n%#include \"a.h\"\ntypedef a c;\n",
	    "");
	read_main(folder, "#include \"m.h\"\ntypedef int c[M];\n", "");
	read_main(folder, "%#include \"none.h\"\n%#include <stdio.h>\n#include <stdio.h>\n", "");
	read_main(folder, "#include \"none.x\"\n", "main.x:1:1: there is no file ");
	write_file(folder, "b.x", "\n!\n");
	read_main(folder, "#include \"a.x\"\n", "b.x:2:1: \"!\" has no meaning here");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		text_format(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

SUITE(idl_file, TEST(test_every_file_of_ours_is_understood_and_complete),
    TEST(test_every_file_of_rpcsvc_is_understood), TEST(test_the_files_of_libtirpc_are_understood),
    TEST(test_files_are_included_once_and_from_beside_the_file));
