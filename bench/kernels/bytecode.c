// An interpreter in a switch, for a small stack machine: an indirect jump per step, and loads that feed it. The programs
// are assembled from text when the kernel starts.
#include "kernel.h"

typedef enum { PUSH, LOAD, STORE, JUMP, JUMPZ, CALL, ADD, SUB, MUL, MOD, XOR, LESS, EQUAL, DUP, DROP, SWAP, GET, SET, RETURN, HALT, OPS } Op;

static const char *const names[OPS] = {"push", "load", "store", "jump", "jumpz", "call", "add",  "sub", "mul", "mod",
                                       "xor",  "less", "equal", "dup",  "drop",  "swap", "get", "set", "return", "halt"};
#define FIRST_WITHOUT_OPERAND ADD

#define MEMORY 4096
#define LOCALS 16
#define STACK 256
#define CODE 256
#define LABELS 32

static uint32_t memory[MEMORY];

static NOINLINE uint32_t run(const uint32_t *code, uint32_t argument, uint64_t *steps) {
    uint32_t stack[STACK], locals[LOCALS] = {argument}, calls[64];
    uint32_t sp = 0, depth = 0, pc = 0;
    for (uint64_t count = 1;; count++) {
        switch ((Op)code[pc++]) {
        case PUSH: stack[sp++ % STACK] = code[pc++]; break;
        case LOAD: stack[sp++ % STACK] = locals[code[pc++] % LOCALS]; break;
        case STORE: locals[code[pc++] % LOCALS] = stack[--sp % STACK]; break;
        case JUMP: pc = code[pc]; break;
        case JUMPZ: pc = stack[--sp % STACK] ? pc + 1 : code[pc]; break;
        case CALL: calls[depth++ % 64] = pc + 1; pc = code[pc]; break;
        case ADD: sp--; stack[(sp - 1) % STACK] += stack[sp % STACK]; break;
        case SUB: sp--; stack[(sp - 1) % STACK] -= stack[sp % STACK]; break;
        case MUL: sp--; stack[(sp - 1) % STACK] *= stack[sp % STACK]; break;
        case MOD: sp--; stack[(sp - 1) % STACK] %= stack[sp % STACK] ? stack[sp % STACK] : 1; break;
        case XOR: sp--; stack[(sp - 1) % STACK] ^= stack[sp % STACK]; break;
        case LESS: sp--; stack[(sp - 1) % STACK] = stack[(sp - 1) % STACK] < stack[sp % STACK]; break;
        case EQUAL: sp--; stack[(sp - 1) % STACK] = stack[(sp - 1) % STACK] == stack[sp % STACK]; break;
        case DUP: stack[sp % STACK] = stack[(sp - 1) % STACK]; sp++; break;
        case DROP: sp--; break;
        case SWAP: {
            uint32_t top = stack[(sp - 1) % STACK];
            stack[(sp - 1) % STACK] = stack[(sp - 2) % STACK];
            stack[(sp - 2) % STACK] = top;
            break;
        }
        case GET: stack[(sp - 1) % STACK] = memory[stack[(sp - 1) % STACK] % MEMORY]; break;
        case SET: sp -= 2; memory[stack[sp % STACK] % MEMORY] = stack[(sp + 1) % STACK]; break;
        case RETURN: pc = calls[--depth % 64]; break;
        case HALT: *steps += count; return stack[(sp - 1) % STACK];
        case OPS: kernel_fail("not an instruction");
        }
    }
}

// Counts the primes below local 0.
static const char sieve[] =
    "push 2 store 1 "
    ":clear load 1 load 0 less jumpz cleared load 1 push 0 set load 1 call increment store 1 jump clear "
    ":cleared push 0 store 3 push 2 store 1 "
    ":outer load 1 load 0 less jumpz done load 1 get jumpz prime jump next "
    ":prime load 3 call increment store 3 load 1 dup mul store 2 "
    ":strike load 2 load 0 less jumpz next load 2 push 1 set load 2 load 1 add store 2 jump strike "
    ":next load 1 call increment store 1 jump outer "
    ":increment push 1 add return "
    ":done load 3 halt ";

// Steps a linear congruential generator local 0 times; returns the exclusive or of its values.
static const char generator[] =
    "push 12345 store 1 push 0 store 2 "
    ":loop load 0 jumpz done load 0 push 1 sub store 0 "
    "load 1 push 1103515245 mul push 12345 add store 1 load 1 load 2 xor store 2 jump loop "
    ":done load 2 push 65537 mod halt ";

// Euclid's algorithm on all pairs below local 0; returns the sum of the greatest common divisors.
static const char divisors[] =
    "push 0 store 5 push 1 store 1 "
    ":rows load 1 load 0 less jumpz done push 1 store 2 "
    ":columns load 2 load 0 less jumpz endrow load 1 load 2 call gcd load 5 add store 5 load 2 push 1 add store 2 jump columns "
    ":endrow load 1 push 1 add store 1 jump rows "
    ":gcd store 4 store 3 "
    ":euclid load 4 jumpz found load 4 load 3 load 4 mod store 4 store 3 jump euclid "
    ":found load 3 return "
    ":done load 5 halt ";

typedef struct {
    const char *text;
    uint32_t length;
} Word;

static Word next_word(const char **text) {
    while (**text == ' ') (*text)++;
    Word word = {*text, 0};
    while (**text && **text != ' ') (*text)++;
    word.length = (uint32_t)(*text - word.text);
    return word;
}

static int same(Word a, const char *b, uint32_t length) { return a.length == length && memcmp(a.text, b, length) == 0; }

// Two passes: the first finds where labels are, the second knows them.
static void assemble(const char *source, uint32_t *code) {
    Word labels[LABELS];
    uint32_t places[LABELS], label_count = 0;
    for (int pass = 0; pass < 2; pass++) {
        uint32_t at = 0;
        const char *text = source;
        for (Word word = next_word(&text); word.length; word = next_word(&text)) {
            if (at + 2 > CODE || label_count == LABELS) kernel_fail("program too long");
            if (word.text[0] == ':') {
                if (pass == 0) {
                    labels[label_count] = (Word){word.text + 1, word.length - 1};
                    places[label_count++] = at;
                }
                continue;
            }
            uint32_t op = 0;
            while (op < OPS && !same(word, names[op], (uint32_t)strlen(names[op]))) op++;
            if (op == OPS) kernel_fail("unknown instruction");
            code[at++] = op;
            if (op >= FIRST_WITHOUT_OPERAND) continue;
            Word operand = next_word(&text);
            uint32_t value = 0, label = 0;
            while (label < label_count && !same(operand, labels[label].text, labels[label].length)) label++;
            if (label < label_count) value = places[label];
            else
                for (uint32_t i = 0; i < operand.length; i++) value = value * 10 + (uint32_t)(operand.text[i] - '0');
            code[at++] = value;
        }
    }
}

int main(int argc, char **argv) {
    static uint32_t sieve_code[CODE], generator_code[CODE], divisors_code[CODE];
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start(), steps = 0;
    assemble(sieve, sieve_code);
    assemble(generator, generator_code);
    assemble(divisors, divisors_code);
    if (run(sieve_code, 1000, &steps) != 168) kernel_fail("there are 168 primes below 1000");
    for (uint32_t round = 0; round < scale; round++) {
        for (uint32_t pass = 0; pass < 60; pass++) sum = checksum_u64(sum, run(sieve_code, 4000 + (round + pass) % 90, &steps));
        sum = checksum_u64(sum, run(generator_code, 1200000 + round, &steps));
        sum = checksum_u64(sum, run(divisors_code, 420 + round % 10, &steps));
    }
    return kernel_report("bytecode", checksum_u64(sum, steps));
}
