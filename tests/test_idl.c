/* SPDX-License-Identifier: BSD-3-Clause */
/* test_idl.c - interface files: what is taken and how, where mistakes are seen; and their values, JSON and XDR. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/idl.h"
#include "cli/idl_value.h"
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

	/* Macros in macros: 32 deep is the end, however many tokens that makes. */
	n = (size_t)snprintf(text, sizeof(text), "#define M0 1\n");
	for (int i = 1; i < 40; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "#define M%d M%d\n", i, i - 1);
	(void)snprintf(text + n, sizeof(text) - n, "const A = M39;");
	refused(text, "t.x:41:11: files or macros are more than 32 deep in each other");
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

/* --- Values ------------------------------------------------------------------------------------ */

static const char value_types[] =
    "const MAX = 3;\n"
    "typedef int i32; typedef unsigned int u32; typedef char i8; typedef unsigned char u8;\n"
    "typedef short i16; typedef unsigned short u16; typedef hyper i64; typedef unsigned hyper u64;\n"
    "typedef float f; typedef double d; typedef bool b;\n"
    "enum e { RED = 1, BLUE = -2, HIGH = 0x80000000 };\n"
    "typedef string s<MAX>; typedef string ls<>; typedef opaque o<MAX>; typedef opaque lo<100>;\n"
    "typedef opaque fo[3]; typedef int a<2>; typedef int fa[2]; typedef int *p; typedef p *pp;\n"
    "struct st { int x; string y<>; int *z; };\n"
    "struct l { int v; l *next; };\n"
    "typedef struct m *ml; struct m { string n<>; ml next; };\n"
    "union u switch (e c) { case RED: int n; case BLUE: case HIGH: void; };\n"
    "union ud switch (int c) { case 1: int c; default: st other; };\n"
    "union uv switch (int value) { case 1: int value; };\n"
    "union ub switch (bool c) { case TRUE: string t<>; case FALSE: void; };\n"
    "struct deep { deep *inner; };\n"
    "typedef opaque none[0]; typedef none nones[4000000000];\n"
    "struct all { st st; l *list; u u<>; };\n";

struct value_case {
	const char *type, *json;
	const char *xdr;   /* words in hex; NULL: refused */
	const char *again; /* the JSON that comes back, if it is another; or why it is refused */
};

static const struct value_case value_cases[] = {
	{ "i32", "-1", "ffffffff", NULL },
	{ "i32", "2147483647", "7fffffff", NULL },
	{ "i32", "-2147483648", "80000000", NULL },
	{ "i32", "2147483648", NULL, "$: out of range; expected -2147483648 to 2147483647" },
	{ "i32", "-2147483649", NULL, "$: out of range; expected -2147483648 to 2147483647" },
	{ "i32", "\"0x10\"", "00000010", "16" },
	{ "i32", "\"-7\"", "fffffff9", "-7" },
	{ "i32", "\"x\"", NULL, "$: a text; expected a whole number" },
	{ "i32", "\"\"", NULL, "$: a text; expected a whole number" },
	{ "i32", "1.5", NULL, "$: a fraction; expected a whole number" },
	{ "i32", "null", NULL, "$: null; expected a whole number" },
	{ "u32", "4294967295", "ffffffff", NULL },
	{ "u32", "4294967296", NULL, "$: out of range; expected 0 to 4294967295" },
	{ "u32", "-1", NULL, "$: out of range; expected 0 to 4294967295" },
	{ "i8", "-128", "ffffff80", NULL },
	{ "i8", "128", NULL, "$: out of range; expected -128 to 127" },
	{ "u8", "255", "000000ff", NULL },
	{ "u8", "256", NULL, "$: out of range; expected 0 to 255" },
	{ "i16", "-32768", "ffff8000", NULL },
	{ "i16", "32768", NULL, "$: out of range; expected -32768 to 32767" },
	{ "u16", "65535", "0000ffff", NULL },
	{ "u16", "65536", NULL, "$: out of range; expected 0 to 65535" },
	{ "i64", "-9223372036854775808", "8000000000000000", NULL },
	{ "i64", "9223372036854775807", "7fffffffffffffff", NULL },
	{ "i64", "\"9007199254740993\"", "0020000000000001", "9007199254740993" },
	{ "i64", "\"9223372036854775808\"", NULL,
	    "$: out of range; expected -9223372036854775808 to 9223372036854775807" },
	{ "u64", "\"18446744073709551615\"", "ffffffffffffffff", NULL },
	{ "u64", "\"18446744073709551616\"", NULL, "$: a text; expected a whole number" },
	{ "u64", "9223372036854775807", "7fffffffffffffff", NULL },
	{ "f", "1.5", "3fc00000", NULL },
	{ "f", "1", "3f800000", "1.0" },
	{ "f", "1e39", NULL, "$: out of the range of a float" },
	{ "f", "\"-Infinity\"", "ff800000", NULL },
	{ "d", "-0.1", "bfb999999999999a", NULL },
	{ "d", "\"NaN\"", "7ff8000000000000", NULL },
	{ "d", "\"Infinity\"", "7ff0000000000000", NULL },
	{ "d", "\"much\"", NULL,
	    "$: a text; expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"" },
	{ "b", "true", "00000001", NULL },
	{ "b", "false", "00000000", NULL },
	{ "b", "1", NULL, "$: a number; expected true or false" },
	{ "e", "\"RED\"", "00000001", NULL },
	{ "e", "\"BLUE\"", "fffffffe", NULL },
	{ "e", "\"HIGH\"", "80000000", NULL },
	{ "e", "1", "00000001", "\"RED\"" },
	{ "e", "7", "00000007", NULL },
	{ "e", "\"red\"", NULL,
	    "$: there is no value \"red\"; expected RED or another of its enum, or a number" },
	{ "s", "\"abc\"", "00000003 61626300", NULL },
	{ "s", "\"\"", "00000000", NULL },
	{ "s", "\"abcd\"", NULL, "$: string longer than 3 bytes" },
	{ "s", "\"\\u00e9\"", "00000002 c3a90000", NULL },
	{ "s", "{\"hex\": \"ff\"}", "00000001 ff000000", NULL },
	{ "s", "{\"hex\": \"616263\"}", "00000003 61626300", "\"abc\"" },
	{ "s", "7", NULL, "$: a number; expected a text" },
	{ "ls", "\"a\\u0000b\"", "00000003 61006200", NULL },
	{ "o", "{\"hex\": \"00ff10\"}", "00000003 00ff1000", NULL },
	{ "o", "{\"hex\": \"\"}", "00000000", NULL },
	{ "o", "{\"base64\": \"AP8Q\"}", "00000003 00ff1000", "{\"hex\": \"00ff10\"}" },
	{ "o", "{\"base64\": \"AP8=\"}", "00000002 00ff0000", "{\"hex\": \"00ff\"}" },
	{ "o", "{\"text\": \"abc\"}", "00000003 61626300", "{\"hex\": \"616263\"}" },
	{ "o", "{\"text\": \"abcd\"}", NULL, "$: opaque longer than 3 bytes" },
	{ "o", "{\"hex\": \"0\"}", NULL, "$: the text is no hex" },
	{ "o", "{\"hex\": \"0g\"}", NULL, "$: the text is no hex" },
	{ "o", "{\"base64\": \"AP8\"}", NULL, "$: the text is no base64" },
	{ "o", "{\"base64\": \"=AP8\"}", NULL, "$: the text is no base64" },
	{ "o", "\"abc\"", NULL,
	    "$: a text; expected {\"hex\": TEXT}, {\"base64\": TEXT} or {\"text\": TEXT}" },
	{ "o", "{\"hex\": \"\", \"text\": \"\"}", NULL,
	    "$: an object; expected {\"hex\": TEXT}, {\"base64\": TEXT} or {\"text\": TEXT}" },
	{ "fo", "{\"hex\": \"010203\"}", "01020300", NULL },
	{ "fo", "{\"hex\": \"0102\"}", NULL, "$: 2 bytes; expected 3" },
	{ "fo", "{\"hex\": \"01020304\"}", NULL, "$: 4 bytes; expected 3" },
	{ "a", "[]", "00000000", NULL },
	{ "a", "[1, 2]", "00000002 00000001 00000002", NULL },
	{ "a", "[1, 2, 3]", NULL, "$: more than 2 elements" },
	{ "a", "[1, true]", NULL, "$[1]: true; expected a whole number" },
	{ "a", "{}", NULL, "$: an object; expected an array" },
	{ "fa", "[1, 2]", "00000001 00000002", NULL },
	{ "fa", "[1]", NULL, "$: 1 elements; expected 2" },
	{ "fa", "[1, 2, 3]", NULL, "$: 3 elements; expected 2" },
	{ "p", "null", "00000000", NULL },
	{ "p", "7", "00000001 00000007", NULL },
	{ "pp", "null", "00000000", NULL },
	{ "pp", "[null]", "00000001 00000000", NULL },
	{ "pp", "[7]", "00000001 00000001 00000007", NULL },
	{ "pp", "7", NULL, "$: a number; expected null, or an array of one" },
	{ "st", "{\"x\": 1, \"y\": \"a\", \"z\": null}", "00000001 00000001 61000000 00000000",
	    NULL },
	{ "st", "{\"x\": 1, \"y\": \"a\"}", "00000001 00000001 61000000 00000000",
	    "{\"x\": 1, \"y\": \"a\", \"z\": null}" },
	{ "st", "{\"x\": 1}", NULL, "$: the member \"y\" is missing" },
	{ "st", "{\"x\": 1, \"y\": \"a\", \"zz\": null}", NULL, "$: there is no member \"zz\"" },
	{ "st", "[]", NULL, "$: an array; expected an object" },
	{ "l", "[{\"v\": 1}]", "00000001 00000000", NULL },
	{ "l", "[{\"v\": 1}, {\"v\": 2}]", "00000001 00000001 00000002 00000000", NULL },
	{ "l", "[]", NULL, "$: this list has at least one element" },
	{ "ml", "[]", "00000000", NULL },
	{ "ml", "null", "00000000", "[]" },
	{ "ml", "[{\"n\": \"a\"}, {\"n\": \"\"}]",
	    "00000001 00000001 61000000 00000001 00000000 00000000", NULL },
	{ "ml", "[{\"n\": \"a\", \"next\": null}]", NULL, "$[0]: there is no member \"next\"" },
	{ "u", "{\"c\": \"RED\", \"n\": 5}", "00000001 00000005", NULL },
	{ "u", "{\"c\": \"BLUE\"}", "fffffffe", NULL },
	{ "u", "{\"c\": \"HIGH\"}", "80000000", NULL },
	{ "u", "{\"c\": \"BLUE\", \"n\": 5}", NULL, "$: there is no member \"n\"" },
	{ "u", "{\"c\": \"RED\"}", NULL, "$: the member \"n\" is missing" },
	{ "u", "{\"c\": 9}", NULL, "$: this \"c\" has no case in the union" },
	{ "u", "{}", NULL, "$: the member \"c\" is missing" },
	{ "ud", "{\"c\": 1, \"value\": 6}", "00000001 00000006", NULL },
	{ "ud", "{\"c\": 2, \"other\": {\"x\": 1, \"y\": \"\", \"z\": 3}}",
	    "00000002 00000001 00000000 00000001 00000003", NULL },
	{ "ud", "{\"c\": 2, \"other\": {\"x\": 1, \"y\": 5}}", NULL,
	    "$.other.y: a number; expected a text" },
	{ "uv", "{\"value\": 1, \"arm\": 6}", "00000001 00000006", NULL },
	{ "ub", "{\"c\": true, \"t\": \"a\"}", "00000001 00000001 61000000", NULL },
	{ "ub", "{\"c\": false}", "00000000", NULL },
	{ "all",
	    "{\"st\": {\"x\": 0, \"y\": \"\", \"z\": null}, \"list\": [{\"v\": 9}], \"u\": [{\"c\": "
	    "\"BLUE\"}, {\"c\": \"RED\", \"n\": 1}]}",
	    "00000000 00000000 00000000 00000001 00000009 00000000 00000002 fffffffe 00000001 00000001",
	    NULL },
	{ "all",
	    "{\"st\": {\"x\": 0, \"y\": \"\", \"z\": null}, \"list\": [{\"v\": 9}], \"u\": [{\"c\": "
	    "\"BLUE\"}, {\"c\": \"RED\", \"n\": \"x\"}]}",
	    NULL, "$.u[1].n: a text; expected a whole number" },
};

static json_t *json_of(const char *text)
{
	return json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static size_t bytes_of(const char *hex, uint8_t *bytes)
{
	size_t n = 0;
	unsigned byte;

	for (; *hex; hex += 2) {
		hex += *hex == ' ';
		if (sscanf(hex, "%2x", &byte) == 1)
			bytes[n++] = (uint8_t)byte;
	}
	return n;
}

/* What bytes mean; NULL: *error says why nothing. */
static json_t *decoded(const struct idl *idl, const char *type, const uint8_t *bytes, size_t size,
    struct idl_error *error)
{
	struct idl_decoded value = { .type = idl_type_find(idl, type) };
	char *copy = malloc(size + 1);
	XDR xdrs;

	if (!HOLDS(copy != NULL))
		return NULL;
	memcpy(copy, bytes, size);
	xdrmem_create(&xdrs, copy, (u_int)size, XDR_DECODE);
	if (idl_decoded_xdr(&xdrs, &value))
		EQUAL(xdr_getpos(&xdrs), size);
	free(copy);
	*error = value.error;
	return value.json;
}

static void check_decoded(const struct idl *idl, const struct value_case *c, const uint8_t *bytes,
    size_t size)
{
	struct idl_error error;
	json_t *got = decoded(idl, c->type, bytes, size, &error);
	json_t *want = json_of(c->again ? c->again : c->json);
	char *text = json_dumps(got, JSON_ENCODE_ANY);

	if (!HOLDS(got && want && json_equal(got, want)))
		printf("  %s %s came back as %s%s\n", c->type, c->json, text ? text : "",
		    error.text);
	free(text);
	json_decref(got);
	json_decref(want);
	for (size_t cut = 0; cut < size; cut += 4) {
		got = decoded(idl, c->type, bytes, cut, &error);
		if (!HOLDS(!got && strstr(error.text, "the answer ends here")))
			printf("  %s cut at %zu\n", c->json, cut);
		json_decref(got);
	}
}

static void test_values_go_over_and_come_back_and_others_are_refused(void)
{
	struct idl *idl = parsed(value_types);

	for (size_t i = 0; idl && i < sizeof(value_cases) / sizeof(value_cases[0]); i++) {
		const struct value_case *c = &value_cases[i];
		struct idl_encoded encoded = { .size_bytes = 0 };
		struct idl_error error = { "" };
		json_t *json = json_of(c->json);
		uint8_t want[128];
		int r = idl_value_encode(idl_type_find(idl, c->type), json, &encoded, &error);
		bool fine = HOLDS(json != NULL) && EQUAL(r, c->xdr ? 0 : -1) &&
		    SAME_TEXT(error.text, c->xdr ? "" : c->again);

		if (fine && c->xdr) {
			fine = SAME_BYTES(encoded.data, encoded.size_bytes, want,
			    bytes_of(c->xdr, want));
			check_decoded(idl, c, encoded.data, encoded.size_bytes);
		}
		if (!fine)
			printf("  %s: %s\n", c->type, c->json);
		free(encoded.data);
		json_decref(json);
	}
	idl_free(idl);
}

static void test_answers_that_break_a_bound_are_refused(void)
{
	static const struct {
		const char *type, *xdr, *why;
	} cases[] = {
		{ "s", "00000004 61626364", "$: 4 bytes; expected at most 3" },
		{ "o", "ffffffff", "$: 4294967295 bytes; expected at most 3" },
		{ "ls", "ffffffff", "$: with this it is longer than 16777216 bytes" },
		{ "ls", "00ffff00 61626364", "$: the answer ends here" },
		{ "a", "00000003 00000001", "$: 3 elements; expected at most 2" },
		{ "p", "00000002 00000001", "$: 2 where 0 or 1 stands for yes or no" },
		{ "b", "00000002", "$: 2 where 0 or 1 stands for yes or no" },
		{ "ub", "00000002", "$.c: 2 where 0 or 1 stands for yes or no" },
		{ "ml", "00000001 00000000 00000005", "$[0]: 5 where 0 or 1 stands for yes or no" },
		{ "u", "00000007", "$: the \"c\" 7 has no case in the union" },
		{ "nones", "", "$[4095]: too many values without content" },
	};
	struct idl *idl = parsed(value_types);

	for (size_t i = 0; idl && i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct idl_error error = { "" };
		uint8_t bytes[64];
		size_t n = bytes_of(cases[i].xdr, bytes);

		HOLDS(decoded(idl, cases[i].type, bytes, n, &error) == NULL);
		SAME_TEXT(error.text, cases[i].why);
	}
	idl_free(idl);
}

static void test_bytes_come_as_hex_up_to_64_and_as_base64_above(void)
{
	struct idl *idl = parsed(value_types);

	for (unsigned n = 64; idl && n <= 65; n++) {
		uint8_t bytes[4 + 68] = { 0, 0, 0, (uint8_t)n };
		struct idl_error error;
		json_t *json = decoded(idl, "lo", bytes, 4 + ((n + 3) & ~3u), &error);
		const char *hex = json_string_value(json_object_get(json, "hex"));
		const char *base64 = json_string_value(json_object_get(json, "base64"));

		EQUAL(hex ? strlen(hex) : 0, n == 64 ? 128 : 0);
		EQUAL(base64 ? strlen(base64) : 0, n == 64 ? 0 : 88);
		json_decref(json);
	}
	idl_free(idl);
}

/* `deep` n structs deep. */
static json_t *nested(unsigned n)
{
	json_t *json = json_null();

	while (n-- > 0)
		json = json_pack("{s:o}", "inner", json);
	return json;
}

static void test_values_deeper_than_200_are_refused_on_both_ways(void)
{
	struct idl *idl = parsed(value_types);
	struct idl_type *type = idl ? idl_type_find(idl, "deep") : NULL;

	/* Each level is a struct and an optional. */
	for (unsigned n = 100; type && n <= 101; n++) {
		struct idl_encoded encoded = { .size_bytes = 0 };
		struct idl_error error = { "" };
		uint8_t bytes[404] = { 0 };
		json_t *json = nested(n);
		int r = idl_value_encode(type, json, &encoded, &error);

		json_decref(json);
		free(encoded.data);
		EQUAL(r, n == 100 ? 0 : -1);
		HOLDS((n == 101) == (strstr(error.text, "more than 200 deep") != NULL));
		for (unsigned i = 0; i + 1 < n; i++)
			bytes[4 * i + 3] = 1;
		json = decoded(idl, "deep", bytes, 4 * (size_t)n, &error);
		HOLDS((json != NULL) == (n == 100));
		json_decref(json);
	}
	idl_free(idl);
}

static void test_a_list_may_be_longer_than_values_may_be_deep(void)
{
	enum {
		N = 20000
	};
	struct idl *idl = parsed(value_types);
	uint8_t *bytes = calloc(N, 8);
	struct idl_error error = { "" };
	json_t *json;

	for (size_t i = 0; bytes && i + 1 < N; i++)
		bytes[8 * i + 7] = 1;
	json = idl && bytes ? decoded(idl, "l", bytes, 8 * (size_t)N, &error) : NULL;
	EQUAL(json_array_size(json), N);
	SAME_TEXT(error.text, "");
	json_decref(json);
	free(bytes);
	idl_free(idl);
}

static void test_arguments_of_16_mib_pass_and_longer_ones_do_not(void)
{
	struct idl *idl = parsed(value_types);

	for (size_t n = IDL_VALUE_BYTES - 4; idl && n <= IDL_VALUE_BYTES; n += 4) {
		struct idl_encoded encoded = { .size_bytes = 0 };
		struct idl_error error = { "" };
		char *text = malloc(n);
		json_t *json;

		if (!HOLDS(text != NULL))
			break;
		memset(text, 'a', n);
		json = json_stringn(text, n);
		free(text);
		EQUAL(idl_value_encode(idl_type_find(idl, "ls"), json, &encoded, &error),
		    n == IDL_VALUE_BYTES ? -1 : 0);
		SAME_TEXT(error.text,
		    n == IDL_VALUE_BYTES ? "$: with this it is longer than 16777216 bytes" : "");
		json_decref(json);
		free(encoded.data);
	}
	idl_free(idl);
}

static void test_several_arguments_are_an_array_and_none_is_nothing(void)
{
	static const struct {
		const char *json, *why;
		size_t argument, size;
	} cases[] = {
		{ "null", "", 0, 0 },
		{ "[]", "$: an array; expected nothing: the procedure has no argument", 0, 0 },
		{ "5", "", 1, 4 },
		{ "[5]", "$: an array; expected a whole number", 1, 0 },
		{ "[5, \"a\"]", "", 2, 12 },
		{ "[5]", "$: an array; expected an array of 2 arguments", 2, 0 },
		{ "[5, 5]", "$[1]: a number; expected a text", 2, 4 },
	};
	struct idl *idl = parsed("program P { version V { void A(void) = 0; void B(int) = 1;"
				 "void C(int, string) = 2; } = 1; } = 1;");

	for (size_t i = 0; idl && i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct idl_procedure *p = idl_programs(idl)->versions->procedures;
		struct idl_encoded encoded = { .size_bytes = 0 };
		struct idl_error error = { "" };
		json_t *json = json_of(cases[i].json);

		for (size_t n = 0; n < cases[i].argument; n++)
			p = p->next;
		(void)idl_arguments_encode(p, json, &encoded, &error);
		SAME_TEXT(error.text, cases[i].why);
		EQUAL(encoded.size_bytes, cases[i].size);
		json_decref(json);
		free(encoded.data);
	}
	idl_free(idl);
}

SUITE(idl_value, TEST(test_values_go_over_and_come_back_and_others_are_refused),
    TEST(test_answers_that_break_a_bound_are_refused),
    TEST(test_bytes_come_as_hex_up_to_64_and_as_base64_above),
    TEST(test_values_deeper_than_200_are_refused_on_both_ways),
    TEST(test_a_list_may_be_longer_than_values_may_be_deep),
    TEST(test_arguments_of_16_mib_pass_and_longer_ones_do_not),
    TEST(test_several_arguments_are_an_array_and_none_is_nothing));
