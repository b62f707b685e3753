// Pointer chasing through malloc: binary trees built, walked and freed; a linked list that is shuffled, merge-sorted
// and traversed.
#include "kernel.h"

typedef struct Tree {
    struct Tree *left, *right;
    uint32_t value;
} Tree;

typedef struct Node {
    struct Node *next;
    uint32_t value;
} Node;

static void *allocate(size_t size) {
    void *p = malloc(size);
    if (!p) kernel_fail("out of memory");
    return p;
}

static NOINLINE Tree *tree_new(uint32_t depth, uint32_t value) {
    Tree *tree = allocate(sizeof *tree);
    *tree = (Tree){0, 0, value};
    if (depth) {
        tree->left = tree_new(depth - 1, value * 2);
        tree->right = tree_new(depth - 1, value * 2 + 1);
    }
    return tree;
}

static NOINLINE uint32_t tree_sum(const Tree *tree) {
    return tree ? tree->value + 3 * tree_sum(tree->left) - tree_sum(tree->right) : 1;
}

static NOINLINE void tree_free(Tree *tree) {
    if (!tree) return;
    tree_free(tree->left);
    tree_free(tree->right);
    free(tree);
}

static Node *merge(Node *a, Node *b) {
    Node *first = NULL, **link = &first;
    while (a && b) {
        Node **smaller = a->value <= b->value ? &a : &b;
        *link = *smaller;
        link = &(*smaller)->next;
        *smaller = *link;
    }
    *link = a ? a : b;
    return first;
}

// Bottom-up merge sort: bin i holds a sorted list of 2^i nodes.
static NOINLINE Node *list_sort(Node *list) {
    Node *bins[32] = {0};
    while (list) {
        Node *carry = list;
        list = list->next;
        carry->next = NULL;
        int i = 0;
        for (; bins[i]; i++) {
            carry = merge(bins[i], carry);
            bins[i] = NULL;
        }
        bins[i] = carry;
    }
    Node *all = NULL;
    for (int i = 0; i < 32; i++) all = merge(bins[i], all);
    return all;
}

static NOINLINE uint64_t list_sum(const Node *list) {
    uint64_t sum = 0;
    for (uint32_t i = 1; list; list = list->next, i++) sum += (uint64_t)list->value * (i & 7);
    return sum;
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        for (uint32_t depth = 4; depth <= 14; depth++) {
            for (uint32_t count = 1u << (16 - depth); count; count--) {
                Tree *tree = tree_new(depth, count);
                sum = checksum_u64(sum, tree_sum(tree));
                tree_free(tree);
            }
        }
        uint64_t seed = random_seed(round);
        Node *list = NULL;
        for (int i = 0; i < 60000; i++) {
            Node *node = allocate(sizeof *node);
            *node = (Node){list, (uint32_t)(random_next(&seed) >> 32)};
            list = node;
        }
        for (uint32_t pass = 0; pass < 6; pass++) {
            list = list_sort(list);
            for (int walk = 0; walk < 8; walk++) sum = checksum_u64(sum, list_sum(list));
            for (Node *node = list; node; node = node->next) node->value = node->value * 2654435761u + pass;
        }
        while (list) {
            Node *next = list->next;
            free(list);
            list = next;
        }
    }
    return kernel_report("pointers", sum);
}
