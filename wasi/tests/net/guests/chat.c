// A chat server that calls the socket extension's functions directly. In: a port (0: any) and "level" or "edge", which
// is how it waits; out: its port as a line, and to each client every line that another one sends. A client that does
// not read is kept its lines for. "/quit" ends the server.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(name)))

typedef struct { void *buf; uint32_t len; } Buffer;
typedef struct { uint64_t userdata; uint8_t tag; uint32_t fd __attribute__((aligned(8))); uint64_t timeout, precision; uint16_t flags; } Subscription;
typedef struct { uint64_t userdata; uint16_t error; uint8_t type; uint64_t nbytes; uint16_t flags; } Event;

IMPORT("sock_open") int sock_open(int family, int type, uint32_t *fd);
IMPORT("sock_bind") int sock_bind(uint32_t fd, Buffer *address, uint32_t port);
IMPORT("sock_listen") int sock_listen(uint32_t fd, uint32_t backlog);
IMPORT("sock_accept") int sock_accept(uint32_t fd, uint32_t flags, uint32_t *accepted);
IMPORT("sock_recv") int sock_recv(uint32_t fd, Buffer *list, uint32_t n, uint32_t flags, uint32_t *len, uint32_t *out);
IMPORT("sock_send") int sock_send(uint32_t fd, Buffer *list, uint32_t n, uint32_t flags, uint32_t *len);
IMPORT("sock_getlocaladdr") int sock_getlocaladdr(uint32_t fd, Buffer *address, uint32_t *type, uint32_t *port);
IMPORT("sock_setsockopt") int sock_setsockopt(uint32_t fd, int level, int name, void *value, uint32_t len);
IMPORT("fd_fdstat_set_flags") int set_flags(uint32_t fd, uint32_t flags);
IMPORT("fd_close") int close_fd(uint32_t fd);
IMPORT("poll_oneoff") int poll_level(Subscription *list, Event *events, uint32_t n, uint32_t *found);
IMPORT("epoll_oneoff") int poll_edge(Subscription *list, Event *events, uint32_t n, uint32_t *found);

enum { AGAIN = 6, NONBLOCK = 4, MOST = 256, READ = 1, WRITE = 2 };

typedef struct { int open; uint32_t fd; char *out; size_t len, sent; char line[512]; size_t had; } Client;

static Client clients[MOST];
static Subscription list[2 * MOST];
static Event events[2 * MOST];

static void check(const char *what, int error) {
  if (error) { fprintf(stderr, "%s: errno %d\n", what, error); exit(1); }
}

static void leave(Client *c) {
  check("close", close_fd(c->fd));
  free(c->out);
  memset(c, 0, sizeof *c);
}

// Sends what is kept, as far as the connection takes it.
static void flush(Client *c) {
  while (c->open && c->sent < c->len) {
    Buffer b = { c->out + c->sent, (uint32_t)(c->len - c->sent) };
    uint32_t sent;
    int error = sock_send(c->fd, &b, 1, 0, &sent);
    if (error == AGAIN) return;
    if (error) { leave(c); return; }
    c->sent += sent;
  }
  c->len = c->sent = 0;
}

static void broadcast(Client *from, const char *text, size_t len) {
  for (Client *c = clients; c < clients + MOST; c++) {
    if (!c->open || c == from) continue;
    c->out = realloc(c->out, c->len + len);
    memcpy(c->out + c->len, text, len);
    c->len += len;
    flush(c);
  }
}

static void lines(Client *c) {
  for (;;) {
    Buffer b[2] = { { c->line + c->had, (uint32_t)(sizeof c->line - c->had) / 2 }, { 0, 0 } };
    b[1].buf = (char *)b[0].buf + b[0].len;
    b[1].len = (uint32_t)(sizeof c->line - c->had) - b[0].len;
    uint32_t got, flags;
    int error = sock_recv(c->fd, b, 2, 0, &got, &flags);
    if (error == AGAIN) return;
    if (error || got == 0) { leave(c); return; }
    c->had += got;
    for (char *end; (end = memchr(c->line, '\n', c->had));) {
      size_t len = (size_t)(end - c->line) + 1;
      if (!strncmp(c->line, "/quit", 5)) exit(0);
      broadcast(c, c->line, len);
      if (!c->open) return;
      memmove(c->line, c->line + len, c->had -= len);
    }
    if (c->had == sizeof c->line) { leave(c); return; }
  }
}

static void join(uint32_t listener) {
  uint32_t fd;
  for (int error; !(error = sock_accept(listener, NONBLOCK, &fd));) {
    Client *c = clients;
    while (c < clients + MOST && c->open) c++;
    if (c == clients + MOST) { close_fd(fd); continue; }
    c->open = 1;
    c->fd = fd;
    int small = 4096;
    check("setsockopt", sock_setsockopt(fd, 0, 5, &small, sizeof small));
  }
}

int main(int argc, char **argv) {
  int edge = argc > 2 && !strcmp(argv[2], "edge");
  uint8_t address[4] = { 127, 0, 0, 1 };
  Buffer buffer = { address, 4 };
  uint32_t listener, type, port, found;
  check("open", sock_open(1, 2, &listener));
  check("bind", sock_bind(listener, &buffer, (uint32_t)atoi(argv[1])));
  check("listen", sock_listen(listener, 128));
  check("flags", set_flags(listener, NONBLOCK));
  check("getlocaladdr", sock_getlocaladdr(listener, &buffer, &type, &port));
  printf("127.0.0.1:%u\n", port);
  fflush(stdout);
  for (;;) {
    uint32_t n = 0;
    list[n++] = (Subscription){ .userdata = MOST, .tag = READ, .fd = listener };
    for (uint32_t i = 0; i < MOST; i++) {
      if (!clients[i].open) continue;
      list[n++] = (Subscription){ .userdata = i, .tag = READ, .fd = clients[i].fd };
      // Edges are asked for all the time, readiness when there is something to send.
      if (edge || clients[i].len) list[n++] = (Subscription){ .userdata = i, .tag = WRITE, .fd = clients[i].fd };
    }
    check("poll", edge ? poll_edge(list, events, n, &found) : poll_level(list, events, n, &found));
    for (uint32_t i = 0; i < found; i++) {
      uint64_t who = events[i].userdata;
      check("event", events[i].error);
      if (who == MOST) join(listener);
      else if (clients[who].open && events[i].type == READ) lines(&clients[who]);
      else if (clients[who].open) flush(&clients[who]);
    }
  }
}
