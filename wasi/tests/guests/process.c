// Arguments, environment, clocks, random numbers, waiting, standard streams and the end. Expects the arguments
// `one`, `two words` and an empty one, the variables A=1 and EMPTY=, and `input` on standard input. Ends with code 7.
#include "check.h"

static void arguments(void) {
  __wasi_size_t argc, size;
  OK(__wasi_args_sizes_get(&argc, &size));
  EQ(argc, 4);
  uint8_t *argv[4], buf[256];
  TRUE(size < sizeof buf);
  memset(buf, 'z', sizeof buf);
  OK(__wasi_args_get(argv, buf));
  EQ(strcmp((char *)argv[1], "one"), 0);
  EQ(strcmp((char *)argv[2], "two words"), 0);
  EQ(strcmp((char *)argv[3], ""), 0);
  EQ(argv[3] + 1 - buf, size);
  EQ(buf[size], 'z');
}

static void environment(void) {
  __wasi_size_t count, size;
  OK(__wasi_environ_sizes_get(&count, &size));
  TRUE(count >= 2 && count < 16 && size < 512);
  uint8_t *env[16], buf[512];
  OK(__wasi_environ_get(env, buf));
  int found = 0;
  for (size_t i = 0; i < count; i++) {
    if (strcmp((char *)env[i], "A=1") == 0) found |= 1;
    if (strcmp((char *)env[i], "EMPTY=") == 0) found |= 2;
  }
  EQ(found, 3);
}

static __wasi_timestamp_t now(int clock) {
  __wasi_timestamp_t time;
  OK(__wasi_clock_time_get(clock, 1, &time));
  return time;
}

static void clocks(void) {
  __wasi_timestamp_t time;
  for (int clock = 0; clock < (exact() ? 4 : 2); clock++) {
    OK(__wasi_clock_res_get(clock, &time));
    TRUE(time > 0 && time <= 1000000000);
    __wasi_timestamp_t before = now(clock);
    TRUE(now(clock) >= before);
  }
  TRUE(now(__WASI_CLOCKID_REALTIME) > 1600000000ull * 1000000000);
  if (exact()) {
    EQ(__wasi_clock_time_get(4, 0, &time), __WASI_ERRNO_INVAL);
    EQ(__wasi_clock_res_get(99, &time), __WASI_ERRNO_INVAL);
  }
}

static void randomness(void) {
  static uint8_t buf[70000];
  OK(__wasi_random_get(buf, 0));
  EQ(buf[0], 0);
  OK(__wasi_random_get(buf, sizeof buf));
  int counts[256] = {0};
  for (size_t i = 0; i < sizeof buf; i++) counts[buf[i]]++;
  for (int i = 0; i < 256; i++) TRUE(counts[i] > 50);
}

static __wasi_subscription_t clock_sub(uint64_t userdata, int clock, uint64_t timeout, int flags) {
  __wasi_subscription_t sub;
  memset(&sub, 0, sizeof sub);
  sub.userdata = userdata;
  sub.u.tag = __WASI_EVENTTYPE_CLOCK;
  sub.u.u.clock.id = clock;
  sub.u.u.clock.timeout = timeout;
  sub.u.u.clock.flags = flags;
  return sub;
}

static __wasi_subscription_t fd_sub(uint64_t userdata, int tag, int fd) {
  __wasi_subscription_t sub;
  memset(&sub, 0, sizeof sub);
  sub.userdata = userdata;
  sub.u.tag = tag;
  sub.u.u.fd_read.file_descriptor = fd;
  return sub;
}

static void sleeping(void) {
  __wasi_event_t events[4];
  __wasi_size_t n;
  const uint64_t span = 5000000;
  EQ(__wasi_poll_oneoff(NULL, events, 0, &n), __WASI_ERRNO_INVAL);
  for (int clock = 0; clock < (exact() ? 4 : 2); clock++) {
    __wasi_subscription_t sub = clock_sub(0x123456789abcdef0, clock, span, 0);
    uint64_t before = now(1);
    OK(__wasi_poll_oneoff(&sub, events, 1, &n));
    TRUE(now(1) - before >= span);
    EQ(n, 1);
    EQ(events[0].userdata, 0x123456789abcdef0);
    EQ(events[0].error, 0);
    EQ(events[0].type, __WASI_EVENTTYPE_CLOCK);
    sub = clock_sub(2, clock, now(clock) + span, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME);
    before = now(1);
    OK(__wasi_poll_oneoff(&sub, events, 1, &n));
    EQ(n, 1);
    TRUE(now(1) - before >= span / 2);
    sub = clock_sub(3, clock, 1, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME);
    OK(__wasi_poll_oneoff(&sub, events, 1, &n));
    EQ(n, 1);
  }
  // The nearer one fires, however far off the other is.
  __wasi_subscription_t subs[2] = {clock_sub(1, 1, UINT64_MAX, 0), clock_sub(2, 0, 1000000, 0)};
  OK(__wasi_poll_oneoff(subs, events, 2, &n));
  EQ(n, 1);
  EQ(events[0].userdata, 2);
  if (exact()) {
    subs[0] = clock_sub(1, 9, 1, 0);
    OK(__wasi_poll_oneoff(subs, events, 1, &n));
    EQ(events[0].error, __WASI_ERRNO_INVAL);
    subs[0].u.tag = 3;
    EQ(__wasi_poll_oneoff(subs, events, 1, &n), __WASI_ERRNO_INVAL);
  }
}

static void streams(void) {
  __wasi_event_t events[4];
  __wasi_size_t n;
  __wasi_subscription_t subs[4] = {
      fd_sub(1, __WASI_EVENTTYPE_FD_READ, 0),
      fd_sub(2, __WASI_EVENTTYPE_FD_WRITE, 1),
      clock_sub(3, 1, 10000000000ull, 0),
      fd_sub(4, __WASI_EVENTTYPE_FD_READ, 99),
  };
  OK(__wasi_poll_oneoff(subs, events, 3, &n));
  TRUE(n >= 1 && n <= 2);
  for (size_t i = 0; i < n; i++) {
    EQ(events[i].error, 0);
    TRUE(events[i].userdata == events[i].type && events[i].userdata != 0);
  }
  if (exact()) {
    EQ(n, 2);
    EQ(events[0].fd_readwrite.nbytes, 5);
    // A bad descriptor is an event beside the others.
    OK(__wasi_poll_oneoff(subs, events, 4, &n));
    EQ(n, 3);
    EQ(events[2].userdata, 4);
    EQ(events[2].error, __WASI_ERRNO_BADF);
  }
  char buf[16] = {0};
  __wasi_iovec_t in[2] = {{(uint8_t *)buf, 2}, {(uint8_t *)buf + 2, 14}};
  OK(__wasi_fd_read(0, in, 2, &n));
  EITHER(n, exact() ? 5 : 2, 5);
  if (n == 2) OK(__wasi_fd_read(0, in + 1, 1, &n));
  EQ(memcmp(buf, "input", 6), 0);
  OK(__wasi_fd_read(0, in, 2, &n));
  EQ(n, 0);
  __wasi_filesize_t at;
  __wasi_ciovec_t out = {(const uint8_t *)"output\n", 7};
  if (exact()) {
    EQ(__wasi_fd_write(0, &out, 1, &n), __WASI_ERRNO_BADF);
    EQ(__wasi_fd_read(1, in, 1, &n), __WASI_ERRNO_BADF);
    EQ(__wasi_fd_seek(0, 0, __WASI_WHENCE_CUR, &at), __WASI_ERRNO_SPIPE);
    EQ(__wasi_fd_tell(1, &at), __WASI_ERRNO_SPIPE);
    EQ(__wasi_fd_pread(0, in, 1, 0, &n), __WASI_ERRNO_SPIPE);
    EQ(__wasi_fd_pwrite(1, &out, 1, 0, &n), __WASI_ERRNO_SPIPE);
  }
  __wasi_fdstat_t stat;
  OK(__wasi_fd_fdstat_get(0, &stat));
  TRUE(stat.fs_rights_base & __WASI_RIGHTS_FD_READ);
  OK(__wasi_fd_write(1, &out, 1, &n));
  EQ(n, 7);
  EQ(__wasi_fd_write(99, &out, 1, &n), __WASI_ERRNO_BADF);
  EQ(__wasi_fd_read(99, in, 1, &n), __WASI_ERRNO_BADF);
  if (exact()) OK(__wasi_fd_close(0));
}

static void bad_addresses(void) {
  if (!exact()) return;
  uint8_t *const end = (uint8_t *)(__builtin_wasm_memory_size(0) * 65536ul);
  __wasi_size_t n;
  __wasi_timestamp_t time;
  EQ(__wasi_random_get(end - 1, 2), __WASI_ERRNO_FAULT);
  EQ(__wasi_random_get((uint8_t *)UINT32_MAX, UINT32_MAX), __WASI_ERRNO_FAULT);
  EQ(__wasi_clock_time_get(1, 0, (__wasi_timestamp_t *)(end - 4)), __WASI_ERRNO_FAULT);
  EQ(__wasi_args_get((uint8_t **)(end - 4), (uint8_t *)&time), __WASI_ERRNO_FAULT);
  EQ(__wasi_args_sizes_get((__wasi_size_t *)end, &n), __WASI_ERRNO_FAULT);
  __wasi_ciovec_t out = {end - 1, 2};
  EQ(__wasi_fd_write(1, &out, 1, &n), __WASI_ERRNO_FAULT);
  EQ(__wasi_fd_write(1, (__wasi_ciovec_t *)(end - 8), 2, &n), __WASI_ERRNO_FAULT);
  EQ(__wasi_fd_write(1, &out, UINT32_MAX, &n), __WASI_ERRNO_FAULT);
  __wasi_event_t event;
  EQ(__wasi_poll_oneoff((__wasi_subscription_t *)(end - 40), &event, 1, &n), __WASI_ERRNO_FAULT);
  __wasi_subscription_t sub = clock_sub(1, 1, 1, 0);
  EQ(__wasi_poll_oneoff(&sub, (__wasi_event_t *)(end - 8), 1, &n), __WASI_ERRNO_FAULT);
  EQ(__wasi_fd_fdstat_get(1, (__wasi_fdstat_t *)(end - 8)), __WASI_ERRNO_FAULT);
  EQ(__wasi_fd_filestat_get(1, (__wasi_filestat_t *)(end - 8)), __WASI_ERRNO_FAULT);
}

__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_raise"))) int raise_signal(int signal);

int main(void) {
  arguments();
  environment();
  clocks();
  randomness();
  sleeping();
  streams();
  bad_addresses();
  OK(__wasi_sched_yield());
  if (exact()) EQ(raise_signal(6), __WASI_ERRNO_NOTSUP);
  __wasi_proc_exit(7);
}
