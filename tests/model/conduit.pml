/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conduit.pml - a model of how the ends of a conduit sleep and wake (transport/conduit_wait.c), for spin.
 *
 * A producer passes ITEMS through a ring of CAPACITY to a consumer; each sleeps when it can do nothing.  Stores
 * reach the memory late and in order, as on real machines: each process has a buffer of them, which empties when
 * it likes.  A seq_cst store waits until it has.  Where nobody loses a wake-up both come to their end; where one
 * is lost, spin finds an end state that is not one.
 *
 * WAITER_WEAK: who sleeps does not wait for its store of `waiting` to arrive before it looks again; OTHER_WEAK: who
 * changes something does not wait for that to arrive before it looks whether somebody sleeps; NO_SECOND_LOOK: who
 * sleeps does not look again; WAKE_BEFORE: who changes something looks for sleepers first.  Each of these must
 * fail.  BELLS: both wait in poll() instead of by a futex, and then for any room.
 * The producer may give up waiting for half of the ring, which is what `wants` is about, and then waits for any room.
 */
#ifndef ITEMS
#define ITEMS 4
#endif
#define CAPACITY 2

#ifdef BELLS
#define PATIENT 0
#else
#define PATIENT 1
#endif

#define NOBODY 0
#define SLEEPS 1

/* The memory.  Index 0: the consumer waits for the head; 1: the producer waits for the tail. */
byte head, tail, wants;
bit waiting[2];
/* Not memory, but the kernel's. */
bit asleep[2];
bit bell[2];

mtype = { HEAD, TAIL, WANTS, WAITING };
chan consumer_stores = [3] of { mtype, byte };
chan producer_stores = [3] of { mtype, byte };

/* What a buffer does, as the step of a process of its own. */
inline arrive(stores, who)
{
	atomic {
		stores ? what, value ->
		if
		:: what == HEAD -> head = value
		:: what == TAIL -> tail = value
		:: what == WANTS -> wants = value
		:: what == WAITING -> waiting[who] = value
		fi;
		value = 0
	}
}

active proctype consumer_buffer()
{
	mtype what;
	byte value;
end:
	do
	:: arrive(consumer_stores, 0)
	od
}

active proctype producer_buffer()
{
	mtype what;
	byte value;
end:
	do
	:: arrive(producer_stores, 1)
	od
}

#ifdef WAITER_WEAK
#define WAITER_FENCE(stores) skip
#else
#define WAITER_FENCE(stores) empty(stores)
#endif
#ifdef OTHER_WEAK
#define OTHER_FENCE(stores) skip
#else
#define OTHER_FENCE(stores) empty(stores)
#endif

/* Takes the sleeper's word back, in one step that also empties the own buffer, and wakes it. */
inline wake(stores, who)
{
	if
	:: waiting[who] == SLEEPS ->
		empty(stores);
		d_step {
			old = waiting[who];
			waiting[who] = NOBODY
		};
		if
		:: old == SLEEPS ->
#ifdef BELLS
			bell[who] = 1
#else
			asleep[who] = 0
#endif
		:: else
		fi
	:: else
	fi
}

/* Sleeps, unless the word was taken back before; a system call empties the buffer. */
inline sleep_on(stores, who)
{
	empty(stores);
#ifdef BELLS
	bell[who] == 1;
	bell[who] = 0
#else
	atomic {
		if
		:: waiting[who] == SLEEPS -> asleep[who] = 1
		:: else
		fi
	};
	asleep[who] == 0
#endif
}

active proctype consumer()
{
	byte taken = 0;
	bit old;

	do
	:: taken == ITEMS -> break
	:: taken < ITEMS && head != taken ->
#ifdef WAKE_BEFORE
		if
		:: waiting[1] == SLEEPS && taken + 1 >= wants -> wake(consumer_stores, 1)
		:: else
		fi;
#endif
		taken++;
		consumer_stores ! TAIL, taken;
		OTHER_FENCE(consumer_stores);
#ifndef WAKE_BEFORE
		if
		:: waiting[1] == SLEEPS ->
			if
			:: taken >= wants -> wake(consumer_stores, 1)
			:: else
			fi
		:: else
		fi
#endif
	:: taken < ITEMS && head == taken ->
		consumer_stores ! WAITING, SLEEPS;
		WAITER_FENCE(consumer_stores);
		if
#ifndef NO_SECOND_LOOK
		:: head != taken
#endif
		:: head == taken -> sleep_on(consumer_stores, 0)
		fi;
		consumer_stores ! WAITING, NOBODY
	od
}

active proctype producer()
{
	byte given = 0, want;
	bit old, patient = PATIENT;

	do
	:: given == ITEMS -> break
	:: given < ITEMS && given - tail < CAPACITY ->
		patient = PATIENT;
#ifdef WAKE_BEFORE
		wake(producer_stores, 0);
#endif
		given++;
		producer_stores ! HEAD, given;
		OTHER_FENCE(producer_stores);
#ifndef WAKE_BEFORE
		wake(producer_stores, 0)
#endif
	:: given < ITEMS && given - tail >= CAPACITY ->
		/* Half of the ring, or any room. */
		want = (patient -> given : given - CAPACITY + 1);
		producer_stores ! WANTS, want;
		WAITER_FENCE(producer_stores);
		producer_stores ! WAITING, SLEEPS;
		WAITER_FENCE(producer_stores);
		if
#ifndef NO_SECOND_LOOK
		:: tail >= want
#endif
		:: tail < want ->
#ifndef BELLS
			if
			:: sleep_on(producer_stores, 1)
			:: patient -> /* it took too long */
				patient = 0
			fi
#else
			sleep_on(producer_stores, 1)
#endif
		fi;
		producer_stores ! WAITING, NOBODY
	od
}
