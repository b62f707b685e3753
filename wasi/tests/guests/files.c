// Files and directories through every fd_* and path_* function. Expects an empty directory as descriptor 3.
#include "check.h"

enum { ROOT = 3 };
#define RW (__WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE)
#define CREAT __WASI_OFLAGS_CREAT
#define FOLLOW __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW

static int open_at(int dir, const char *path, int lookup, int oflags, uint64_t rights, int fdflags, int *fd) {
  __wasi_fd_t opened = -1;
  int error = __wasi_path_open(dir, lookup, path, oflags, rights, 0, fdflags, &opened);
  *fd = (int)opened;
  return error;
}

// The error of an open that must not succeed.
static int open_error(const char *path, int lookup, int oflags, uint64_t rights) {
  int fd;
  int error = open_at(ROOT, path, lookup, oflags, rights, 0, &fd);
  if (error == 0) OK(__wasi_fd_close(fd));
  return error;
}

static int open_ok(const char *path, int oflags, uint64_t rights, int fdflags) {
  int fd;
  OK(open_at(ROOT, path, 0, oflags, rights, fdflags, &fd));
  TRUE(fd > 2);
  return fd;
}

static void create(const char *path) { OK(__wasi_fd_close(open_ok(path, CREAT, 0, 0))); }

static int write_text(int fd, const char *text) {
  __wasi_ciovec_t vec = {(const uint8_t *)text, strlen(text)};
  __wasi_size_t n = 0;
  OK(__wasi_fd_write(fd, &vec, 1, &n));
  return n;
}

static void expect_text(int fd, const char *text) {
  char buf[64] = {0};
  __wasi_iovec_t vec = {(uint8_t *)buf, sizeof buf};
  __wasi_size_t n = 0;
  OK(__wasi_fd_read(fd, &vec, 1, &n));
  EQ(n, strlen(text));
  TRUE(memcmp(buf, text, n) == 0);
}

static void preopens(void) {
  __wasi_prestat_t stat;
  OK(__wasi_fd_prestat_get(ROOT, &stat));
  EQ(stat.tag, __WASI_PREOPENTYPE_DIR);
  uint8_t name[256];
  TRUE(stat.u.dir.pr_name_len > 0 && stat.u.dir.pr_name_len < 255);
  OK(__wasi_fd_prestat_dir_name(ROOT, name, stat.u.dir.pr_name_len));
  OK(__wasi_fd_prestat_dir_name(ROOT, name, stat.u.dir.pr_name_len + 1));
  EQ(__wasi_fd_prestat_dir_name(ROOT, name, stat.u.dir.pr_name_len - 1), __WASI_ERRNO_NAMETOOLONG);
  EQ(__wasi_fd_prestat_get(99, &stat), __WASI_ERRNO_BADF);
  EQ(__wasi_fd_prestat_get(1, &stat), __WASI_ERRNO_BADF);

  __wasi_fdstat_t fdstat;
  OK(__wasi_fd_fdstat_get(ROOT, &fdstat));
  EQ(fdstat.fs_filetype, __WASI_FILETYPE_DIRECTORY);
  EQ(fdstat.fs_flags, 0);
  EQ(fdstat.fs_rights_base & __WASI_RIGHTS_FD_FILESTAT_SET_SIZE, 0);
  TRUE(fdstat.fs_rights_base & __WASI_RIGHTS_PATH_OPEN);
  TRUE((fdstat.fs_rights_inheriting & RW) == RW);
  __wasi_fd_t same;
  OK(__wasi_path_open(ROOT, 0, ".", 0, fdstat.fs_rights_base, fdstat.fs_rights_inheriting, 0, &same));
  OK(__wasi_fd_close(same));
  EQ(open_error(".", 0, __WASI_OFLAGS_DIRECTORY, RW), __WASI_ERRNO_ISDIR);
  int fd;
  OK(open_at(ROOT, ".", 0, 0, 0, __WASI_FDFLAGS_NONBLOCK, &fd));
  OK(__wasi_fd_close(fd));
}

static void read_and_write(void) {
  int fd = open_ok("data", CREAT, RW, 0);
  __wasi_ciovec_t out[3] = {{(const uint8_t *)"hello", 5}, {NULL, 0}, {(const uint8_t *)", world", 7}};
  __wasi_size_t n;
  OK(__wasi_fd_write(fd, out, 3, &n));
  EITHER(n, exact() ? 12 : 5, 12);
  if (n == 5) write_text(fd, ", world");
  __wasi_filesize_t at;
  OK(__wasi_fd_tell(fd, &at));
  EQ(at, 12);
  OK(__wasi_fd_seek(fd, 7, __WASI_WHENCE_SET, &at));
  EQ(at, 7);
  expect_text(fd, "world");
  OK(__wasi_fd_seek(fd, -5, __WASI_WHENCE_END, &at));
  EQ(at, 7);
  OK(__wasi_fd_seek(fd, -2, __WASI_WHENCE_CUR, &at));
  EQ(at, 5);
  OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_CUR, &at));
  EQ(at, 5);
  EQ(__wasi_fd_seek(fd, -100, __WASI_WHENCE_CUR, &at), __WASI_ERRNO_INVAL);
  EQ(__wasi_fd_seek(99, 0, __WASI_WHENCE_CUR, &at), __WASI_ERRNO_BADF);
  expect_text(fd, ", world");
  expect_text(fd, "");

  char a[3] = {0}, b[4] = {0};
  __wasi_iovec_t in[2] = {{(uint8_t *)a, 3}, {(uint8_t *)b, 4}};
  OK(__wasi_fd_pread(fd, in, 2, 5, &n));
  if (exact()) EQ(n, 7);
  TRUE(memcmp(a, ", w", 3) == 0 && (n < 7 || memcmp(b, "orld", 4) == 0));
  OK(__wasi_fd_pread(fd, in, 1, 100, &n));
  EQ(n, 0);
  __wasi_ciovec_t put = {(const uint8_t *)"HE", 2};
  OK(__wasi_fd_pwrite(fd, &put, 1, 0, &n));
  EQ(n, 2);
  OK(__wasi_fd_tell(fd, &at));
  EQ(at, 12);
  OK(__wasi_fd_pread(fd, in, 1, 0, &n));
  TRUE(n == 3 && memcmp(a, "HEl", 3) == 0);
  put.buf_len = 0;
  OK(__wasi_fd_pwrite(fd, &put, 1, 500, &n));
  __wasi_filestat_t stat;
  OK(__wasi_fd_filestat_get(fd, &stat));
  EQ(stat.size, 12);
  EQ(stat.filetype, __WASI_FILETYPE_REGULAR_FILE);
  EQ(stat.nlink, 1);
  TRUE(stat.ino != 0 && stat.mtim != 0);

  OK(__wasi_fd_filestat_set_size(fd, 4));
  OK(__wasi_fd_filestat_get(fd, &stat));
  EQ(stat.size, 4);
  EITHER(__wasi_fd_allocate(fd, 2, 8), exact() ? 0 : __WASI_ERRNO_NOTSUP, 0);
  OK(__wasi_fd_filestat_get(fd, &stat));
  EITHER(stat.size, exact() ? 10 : 4, 10);
  OK(__wasi_fd_advise(fd, 0, 4, __WASI_ADVICE_SEQUENTIAL));
  if (exact()) EQ(__wasi_fd_advise(fd, 0, 4, 77), __WASI_ERRNO_INVAL);
  OK(__wasi_fd_sync(fd));
  OK(__wasi_fd_datasync(fd));
  OK(__wasi_fd_close(fd));
  EQ(__wasi_fd_close(fd), __WASI_ERRNO_BADF);
  EQ(__wasi_fd_sync(fd), __WASI_ERRNO_BADF);
  OK(__wasi_path_unlink_file(ROOT, "data"));
}

static void access_modes(void) {
  create("modes");
  int fd = open_ok("modes", 0, __WASI_RIGHTS_FD_READ, 0);
  __wasi_fdstat_t stat;
  OK(__wasi_fd_fdstat_get(fd, &stat));
  EQ(stat.fs_rights_base & RW, __WASI_RIGHTS_FD_READ);
  uint8_t byte = 'x';
  __wasi_ciovec_t out = {&byte, 1};
  __wasi_iovec_t in = {&byte, 1};
  __wasi_size_t n;
  EQ(__wasi_fd_write(fd, &out, 1, &n), __WASI_ERRNO_BADF);
  OK(__wasi_fd_close(fd));
  fd = open_ok("modes", 0, __WASI_RIGHTS_FD_WRITE, 0);
  OK(__wasi_fd_fdstat_get(fd, &stat));
  EQ(stat.fs_rights_base & (RW | __WASI_RIGHTS_FD_READDIR), __WASI_RIGHTS_FD_WRITE);
  EQ(__wasi_fd_read(fd, &in, 1, &n), __WASI_ERRNO_BADF);
  OK(__wasi_fd_write(fd, &out, 1, &n));
  OK(__wasi_fd_close(fd));
  fd = open_ok("modes", __WASI_OFLAGS_TRUNC, 0, 0);
  OK(__wasi_fd_close(fd));
  __wasi_filestat_t filestat;
  OK(__wasi_path_filestat_get(ROOT, 0, "modes", &filestat));
  EQ(filestat.size, 0);
  EQ(open_error("modes", 0, CREAT | __WASI_OFLAGS_EXCL, 0), __WASI_ERRNO_EXIST);
  EQ(open_error("modes", 0, CREAT | __WASI_OFLAGS_DIRECTORY, 0), __WASI_ERRNO_INVAL);
  EQ(open_error("modes", 0, __WASI_OFLAGS_DIRECTORY, 0), __WASI_ERRNO_NOTDIR);
  EQ(open_error("missing", 0, 0, 0), __WASI_ERRNO_NOENT);
  EQ(open_error("modes/below", 0, 0, 0), __WASI_ERRNO_NOTDIR);
  fd = open_ok("modes", 0, 0, 0);
  int inner;
  EQ(open_at(fd, "x", 0, CREAT, 0, 0, &inner), __WASI_ERRNO_NOTDIR);
  EQ(open_at(99, "x", 0, CREAT, 0, 0, &inner), __WASI_ERRNO_BADF);
  OK(__wasi_fd_close(fd));
  OK(__wasi_path_unlink_file(ROOT, "modes"));
}

static void flags(void) {
  int fd = open_ok("log", CREAT, RW, __WASI_FDFLAGS_APPEND);
  __wasi_fdstat_t stat;
  OK(__wasi_fd_fdstat_get(fd, &stat));
  EQ(stat.fs_flags, __WASI_FDFLAGS_APPEND);
  __wasi_filesize_t at;
  EQ(write_text(fd, "one"), 3);
  OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
  EQ(write_text(fd, "two"), 3);
  OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
  expect_text(fd, "onetwo");
  OK(__wasi_fd_fdstat_set_flags(fd, 0));
  OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
  EQ(write_text(fd, "ONE"), 3);
  OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
  expect_text(fd, "ONEtwo");
  EQ(__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_SYNC), __WASI_ERRNO_INVAL);
  OK(__wasi_fd_close(fd));
  if (exact()) {
    fd = open_ok("log", 0, RW, __WASI_FDFLAGS_SYNC | __WASI_FDFLAGS_DSYNC);
    OK(__wasi_fd_fdstat_get(fd, &stat));
    EQ(stat.fs_flags, __WASI_FDFLAGS_SYNC | __WASI_FDFLAGS_DSYNC);
    OK(__wasi_fd_close(fd));
  }
  OK(__wasi_path_unlink_file(ROOT, "log"));
}

static void rights(void) {
  if (!exact()) return;
  __wasi_fd_t fd;
  uint64_t wanted = RW | __WASI_RIGHTS_FD_SEEK | __WASI_RIGHTS_FD_TELL;
  OK(__wasi_path_open(ROOT, 0, "rights", CREAT, wanted, 0, 0, &fd));
  __wasi_fdstat_t stat;
  OK(__wasi_fd_fdstat_get(fd, &stat));
  EQ(stat.fs_rights_base, wanted);
  EQ(stat.fs_rights_inheriting, 0);
  EQ(write_text(fd, "abc"), 3);
  __wasi_filestat_t filestat;
  EQ(__wasi_fd_filestat_get(fd, &filestat), __WASI_ERRNO_NOTCAPABLE);
  EQ(__wasi_fd_filestat_set_size(fd, 0), __WASI_ERRNO_NOTCAPABLE);
  OK(__wasi_fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_TELL, 0));
  uint8_t byte;
  __wasi_iovec_t in = {&byte, 1};
  __wasi_size_t n;
  __wasi_filesize_t at;
  EQ(__wasi_fd_read(fd, &in, 1, &n), __WASI_ERRNO_BADF);
  EQ(__wasi_fd_seek(fd, 1, __WASI_WHENCE_SET, &at), __WASI_ERRNO_NOTCAPABLE);
  OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_CUR, &at));
  OK(__wasi_fd_tell(fd, &at));
  EQ(__wasi_fd_fdstat_set_rights(fd, wanted, 0), __WASI_ERRNO_NOTCAPABLE);
  OK(__wasi_fd_close(fd));

  __wasi_fd_t dir;
  OK(__wasi_path_open(ROOT, 0, ".", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_PATH_OPEN | __WASI_RIGHTS_PATH_UNLINK_FILE,
                      __WASI_RIGHTS_FD_READ, 0, &dir));
  int inner;
  EQ(open_at(dir, "rights", 0, 0, RW, 0, &inner), __WASI_ERRNO_NOTCAPABLE);
  EQ(open_at(dir, "new", 0, CREAT, 0, 0, &inner), __WASI_ERRNO_NOTCAPABLE);
  EQ(open_at(dir, "rights", 0, __WASI_OFLAGS_TRUNC, 0, 0, &inner), __WASI_ERRNO_NOTCAPABLE);
  OK(open_at(dir, "rights", 0, 0, __WASI_RIGHTS_FD_READ, 0, &inner));
  expect_text(inner, "abc");
  EQ(__wasi_fd_tell(inner, &at), __WASI_ERRNO_NOTCAPABLE);
  OK(__wasi_fd_close(inner));
  EQ(__wasi_path_create_directory(dir, "x"), __WASI_ERRNO_NOTCAPABLE);
  EQ(__wasi_path_rename(dir, "rights", dir, "x"), __WASI_ERRNO_NOTCAPABLE);
  EQ(__wasi_fd_readdir(dir, &byte, 1, 0, &n), __WASI_ERRNO_NOTCAPABLE);
  OK(__wasi_path_unlink_file(dir, "rights"));
  OK(__wasi_fd_close(dir));
}

static void times(void) {
  int fd = open_ok("times", CREAT, RW, 0);
  __wasi_filestat_t before, after;
  OK(__wasi_fd_filestat_get(fd, &before));
  OK(__wasi_fd_filestat_set_times(fd, 0, 1000000007, __WASI_FSTFLAGS_MTIM));
  OK(__wasi_fd_filestat_get(fd, &after));
  EQ(after.mtim, 1000000007);
  EQ(after.atim, before.atim);
  OK(__wasi_fd_filestat_set_times(fd, 5, 0, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM_NOW));
  OK(__wasi_fd_filestat_get(fd, &after));
  EQ(after.atim, 5);
  TRUE(after.mtim >= before.mtim);
  EQ(__wasi_fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_MTIM | __WASI_FSTFLAGS_MTIM_NOW), __WASI_ERRNO_INVAL);
  EQ(__wasi_fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_ATIM_NOW), __WASI_ERRNO_INVAL);
  OK(__wasi_path_symlink("times", ROOT, "times-link"));
  OK(__wasi_path_filestat_set_times(ROOT, 0, "times-link", 0, 77, __WASI_FSTFLAGS_MTIM));
  OK(__wasi_path_filestat_get(ROOT, 0, "times-link", &after));
  EQ(after.mtim, 77);
  EQ(after.filetype, __WASI_FILETYPE_SYMBOLIC_LINK);
  OK(__wasi_path_filestat_set_times(ROOT, FOLLOW, "times-link", 0, 88, __WASI_FSTFLAGS_MTIM));
  OK(__wasi_path_filestat_get(ROOT, FOLLOW, "times-link", &after));
  EQ(after.mtim, 88);
  EQ(after.filetype, __WASI_FILETYPE_REGULAR_FILE);
  EQ(__wasi_path_filestat_set_times(ROOT, 0, "times", 0, 0, __WASI_FSTFLAGS_MTIM | __WASI_FSTFLAGS_MTIM_NOW),
     __WASI_ERRNO_INVAL);
  OK(__wasi_fd_close(fd));
  OK(__wasi_path_unlink_file(ROOT, "times-link"));
  OK(__wasi_path_unlink_file(ROOT, "times"));
}

static void directories(void) {
  OK(__wasi_path_create_directory(ROOT, "dir"));
  EQ(__wasi_path_create_directory(ROOT, "dir"), __WASI_ERRNO_EXIST);
  OK(__wasi_path_create_directory(ROOT, "dir/slash/"));
  OK(__wasi_path_remove_directory(ROOT, exact() ? "dir/slash/" : "dir/slash"));
  EQ(__wasi_path_create_directory(ROOT, "none/sub"), __WASI_ERRNO_NOENT);
  create("dir/file");
  EQ(__wasi_path_remove_directory(ROOT, "dir"), __WASI_ERRNO_NOTEMPTY);
  EQ(__wasi_path_remove_directory(ROOT, "dir/file"), __WASI_ERRNO_NOTDIR);
  EQ(__wasi_path_remove_directory(ROOT, "dir/file/"), __WASI_ERRNO_NOTDIR);
  EQ(__wasi_path_remove_directory(ROOT, "none"), __WASI_ERRNO_NOENT);
  EQ(__wasi_path_unlink_file(ROOT, "dir"), __WASI_ERRNO_ISDIR);
  EQ(__wasi_path_unlink_file(ROOT, "dir/"), __WASI_ERRNO_ISDIR);
  EQ(__wasi_path_unlink_file(ROOT, "dir/file/"), __WASI_ERRNO_NOTDIR);
  EQ(__wasi_path_unlink_file(ROOT, "dir/none"), __WASI_ERRNO_NOENT);
  EQ(open_error("dir/file/", 0, 0, 0), __WASI_ERRNO_NOTDIR);
  int fd = open_ok("dir///", 0, 0, 0);

  uint8_t byte = 0;
  __wasi_ciovec_t out = {&byte, 1};
  __wasi_iovec_t in = {&byte, 1};
  __wasi_size_t n;
  __wasi_filesize_t at;
  EQ(__wasi_fd_read(fd, &in, 1, &n), __WASI_ERRNO_BADF);
  EQ(__wasi_fd_pread(fd, &in, 1, 0, &n), __WASI_ERRNO_BADF);
  EQ(__wasi_fd_write(fd, &out, 1, &n), __WASI_ERRNO_BADF);
  EQ(__wasi_fd_pwrite(fd, &out, 1, 0, &n), __WASI_ERRNO_BADF);
  EQ(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at), __WASI_ERRNO_BADF);
  EQ(__wasi_fd_tell(fd, &at), __WASI_ERRNO_BADF);
  EQ(__wasi_fd_filestat_set_size(fd, 0), __WASI_ERRNO_BADF);
  EQ(__wasi_fd_allocate(fd, 0, 1), __WASI_ERRNO_BADF);
  EQ(__wasi_fd_advise(fd, 0, 0, __WASI_ADVICE_DONTNEED), __WASI_ERRNO_BADF);
  EQ(__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_NONBLOCK), __WASI_ERRNO_BADF);
  EQ(__wasi_fd_sync(fd), __WASI_ERRNO_BADF);
  EQ(__wasi_fd_datasync(fd), __WASI_ERRNO_BADF);
  OK(__wasi_fd_close(fd));

  __wasi_filestat_t stat;
  OK(__wasi_path_filestat_get(ROOT, 0, "dir/.././dir//", &stat));
  EQ(stat.filetype, __WASI_FILETYPE_DIRECTORY);
  OK(__wasi_path_filestat_get(ROOT, 0, ".", &stat));
  EQ(__wasi_path_filestat_get(ROOT, 0, "dir/file/", &stat), __WASI_ERRNO_NOTDIR);
  EQ(__wasi_path_filestat_get(ROOT, 0, "dir/none", &stat), __WASI_ERRNO_NOENT);
  OK(__wasi_path_unlink_file(ROOT, "dir/file"));
  OK(__wasi_path_remove_directory(ROOT, "dir"));
}

// Reads a whole listing with a buffer of `size` bytes; returns the number of entries and how often `name` came.
static int list(int fd, size_t size, const char *name, int *seen, __wasi_dirent_t *found) {
  static uint8_t buf[4096];
  __wasi_dircookie_t cookie = 0;
  int entries = 0;
  *seen = 0;
  for (;;) {
    __wasi_size_t used = 0;
    OK(__wasi_fd_readdir(fd, buf, size, cookie, &used));
    TRUE(used <= size);
    size_t at = 0;
    int whole = 0;
    while (used - at >= sizeof(__wasi_dirent_t)) {
      __wasi_dirent_t entry;
      memcpy(&entry, buf + at, sizeof entry);
      if (used - at - sizeof entry < entry.d_namlen) break;
      if (entry.d_namlen == strlen(name) && memcmp(buf + at + sizeof entry, name, entry.d_namlen) == 0) {
        ++*seen;
        *found = entry;
      }
      at += sizeof entry + entry.d_namlen;
      cookie = entry.d_next;
      ++entries;
      ++whole;
    }
    if (used < size) return entries;
    TRUE(whole > 0);
  }
}

static void listings(void) {
  OK(__wasi_path_create_directory(ROOT, "list"));
  int fd = open_ok("list", __WASI_OFLAGS_DIRECTORY, 0, 0);
  __wasi_filestat_t stat;
  OK(__wasi_fd_filestat_get(fd, &stat));
  __wasi_dirent_t entry;
  int seen;
  EQ(list(fd, 256, ".", &seen, &entry), 2);
  EQ(seen, 1);
  EQ(entry.d_ino, stat.ino);
  EQ(entry.d_type, __WASI_FILETYPE_DIRECTORY);
  EQ(list(fd, 256, "..", &seen, &entry), 2);
  EQ(seen, 1);
  char name[32];
  for (int i = 0; i < 300; i++) {
    snprintf(name, sizeof name, "list/file-%d", i);
    create(name);
  }
  for (size_t size = 64; size <= 4096; size = size * 2 + 3) {
    EQ(list(fd, size, "file-123", &seen, &entry), 302);
    EQ(seen, 1);
  }
  EQ(entry.d_type, __WASI_FILETYPE_REGULAR_FILE);
  OK(__wasi_path_filestat_get(ROOT, 0, "list/file-123", &stat));
  EQ(entry.d_ino, stat.ino);
  // Going on from a cookie gives the same entry every time, and a buffer that cuts it is full.
  uint8_t first[64], again[64];
  __wasi_size_t used;
  OK(__wasi_fd_readdir(fd, first, sizeof first, entry.d_next, &used));
  memset(again, 0, sizeof again);
  OK(__wasi_fd_readdir(fd, again, 10, entry.d_next, &used));
  if (used != 0) {
    EQ(used, 10);
    TRUE(memcmp(first, again, 10) == 0);
  }
  for (int i = 0; i < 300; i++) {
    snprintf(name, sizeof name, "list/file-%d", i);
    OK(__wasi_path_unlink_file(ROOT, name));
  }
  EQ(list(fd, 256, ".", &seen, &entry), 2);
  OK(__wasi_fd_close(fd));
  fd = open_ok("plain", CREAT, 0, 0);
  EITHER(__wasi_fd_readdir(fd, first, sizeof first, 0, &used), __WASI_ERRNO_NOTDIR, __WASI_ERRNO_BADF);
  OK(__wasi_fd_close(fd));
  OK(__wasi_path_unlink_file(ROOT, "plain"));
  OK(__wasi_path_remove_directory(ROOT, "list"));
}

static void renames(void) {
  OK(__wasi_path_create_directory(ROOT, "source"));
  OK(__wasi_path_rename(ROOT, "source/", ROOT, "target"));
  OK(__wasi_path_rename(ROOT, "target", ROOT, "source/"));
  OK(__wasi_path_create_directory(ROOT, "target"));
  OK(__wasi_path_rename(ROOT, "source", ROOT, "target"));
  EQ(open_error("source", 0, __WASI_OFLAGS_DIRECTORY, 0), __WASI_ERRNO_NOENT);
  OK(__wasi_path_create_directory(ROOT, "source"));
  create("target/file");
  EQ(__wasi_path_rename(ROOT, "source", ROOT, "target"), __WASI_ERRNO_NOTEMPTY);
  EQ(__wasi_path_rename(ROOT, "source", ROOT, "target/file"), __WASI_ERRNO_NOTDIR);
  EQ(__wasi_path_rename(ROOT, "target/file", ROOT, "source"), __WASI_ERRNO_ISDIR);
  EQ(__wasi_path_rename(ROOT, "target/file", ROOT, "new/"), __WASI_ERRNO_NOTDIR);
  EQ(__wasi_path_rename(ROOT, "target/file/", ROOT, "new"), __WASI_ERRNO_NOTDIR);
  EQ(__wasi_path_rename(ROOT, "none", ROOT, "new"), __WASI_ERRNO_NOENT);
  create("other");
  OK(__wasi_path_rename(ROOT, "other", ROOT, "target/file"));
  EQ(open_error("other", 0, 0, 0), __WASI_ERRNO_NOENT);
  EQ(__wasi_path_rename(ROOT, "target/file", ROOT, "../escaped"), __WASI_ERRNO_PERM);
  OK(__wasi_path_unlink_file(ROOT, "target/file"));
  OK(__wasi_path_remove_directory(ROOT, "target"));
  OK(__wasi_path_remove_directory(ROOT, "source"));
}

static void hard_links(void) {
  create("file");
  OK(__wasi_path_link(ROOT, 0, "file", ROOT, "link"));
  __wasi_filestat_t a, b;
  OK(__wasi_path_filestat_get(ROOT, 0, "file", &a));
  OK(__wasi_path_filestat_get(ROOT, 0, "link", &b));
  TRUE(a.ino == b.ino && a.dev == b.dev && a.nlink == 2);
  EQ(__wasi_path_link(ROOT, 0, "file", ROOT, "link"), __WASI_ERRNO_EXIST);
  EQ(__wasi_path_link(ROOT, 0, "file", ROOT, "file"), __WASI_ERRNO_EXIST);
  OK(__wasi_path_unlink_file(ROOT, "link"));
  EQ(__wasi_path_link(ROOT, 0, "file", ROOT, "link/"), __WASI_ERRNO_NOENT);
  EQ(__wasi_path_link(ROOT, 0, "none", ROOT, "link"), __WASI_ERRNO_NOENT);
  OK(__wasi_path_create_directory(ROOT, "dir"));
  EQ(__wasi_path_link(ROOT, 0, "file", ROOT, "dir"), __WASI_ERRNO_EXIST);
  EITHER(__wasi_path_link(ROOT, 0, "dir", ROOT, "link"), __WASI_ERRNO_PERM, __WASI_ERRNO_ACCES);
  OK(__wasi_path_remove_directory(ROOT, "dir"));
  OK(__wasi_path_symlink("nowhere", ROOT, "dangling"));
  OK(__wasi_path_link(ROOT, 0, "dangling", ROOT, "link"));
  OK(__wasi_path_filestat_get(ROOT, 0, "link", &b));
  EQ(b.filetype, __WASI_FILETYPE_SYMBOLIC_LINK);
  EQ(__wasi_path_link(ROOT, 0, "file", ROOT, "dangling"), __WASI_ERRNO_EXIST);
  EQ(__wasi_path_link(ROOT, FOLLOW, "dangling", ROOT, "other"), __WASI_ERRNO_INVAL);
  OK(__wasi_path_unlink_file(ROOT, "link"));
  OK(__wasi_path_unlink_file(ROOT, "dangling"));
  OK(__wasi_path_unlink_file(ROOT, "file"));
}

static void symlinks(void) {
  create("file");
  OK(__wasi_path_symlink("file", ROOT, "link"));
  uint8_t buf[16];
  __wasi_size_t used;
  memset(buf, 'z', sizeof buf);
  OK(__wasi_path_readlink(ROOT, "link", buf, 10, &used));
  EQ(used, 4);
  TRUE(memcmp(buf, "filez", 5) == 0);
  OK(__wasi_path_readlink(ROOT, "link", buf, 2, &used));
  EQ(used, 2);
  OK(__wasi_path_readlink(ROOT, "link", buf, 0, &used));
  EQ(used, 0);
  EQ(__wasi_path_readlink(ROOT, "file", buf, 10, &used), __WASI_ERRNO_INVAL);
  EQ(__wasi_path_readlink(ROOT, "none", buf, 10, &used), __WASI_ERRNO_NOENT);
  EQ(open_error("link", 0, 0, 0), __WASI_ERRNO_LOOP);
  int fd;
  OK(open_at(ROOT, "link", FOLLOW, 0, 0, 0, &fd));
  OK(__wasi_fd_close(fd));
  EITHER(open_error("link", 0, __WASI_OFLAGS_DIRECTORY, 0), __WASI_ERRNO_NOTDIR, __WASI_ERRNO_LOOP);
  EQ(open_error("link", FOLLOW, __WASI_OFLAGS_DIRECTORY, 0), __WASI_ERRNO_NOTDIR);
  OK(__wasi_path_unlink_file(ROOT, "link"));

  OK(__wasi_path_symlink("loop", ROOT, "loop"));
  EQ(open_error("loop", 0, 0, 0), __WASI_ERRNO_LOOP);
  EQ(open_error("loop", FOLLOW, 0, 0), __WASI_ERRNO_LOOP);
  EQ(open_error("loop/x", 0, 0, 0), __WASI_ERRNO_LOOP);
  OK(__wasi_path_unlink_file(ROOT, "loop"));

  EQ(__wasi_path_symlink("source", ROOT, "target/"), __WASI_ERRNO_NOENT);
  OK(__wasi_path_create_directory(ROOT, "target"));
  EQ(__wasi_path_symlink("source", ROOT, "target/"), __WASI_ERRNO_EXIST);
  EQ(__wasi_path_symlink("source", ROOT, "target"), __WASI_ERRNO_EXIST);
  OK(__wasi_path_symlink("target", ROOT, "dirlink"));
  OK(open_at(ROOT, "dirlink", FOLLOW, __WASI_OFLAGS_DIRECTORY, 0, 0, &fd));
  OK(__wasi_fd_close(fd));
  create("dirlink/inside");
  OK(__wasi_path_unlink_file(ROOT, "target/inside"));
  OK(__wasi_path_unlink_file(ROOT, "dirlink"));
  OK(__wasi_path_remove_directory(ROOT, "target"));
  EITHER(__wasi_path_symlink("source", ROOT, "file/"), __WASI_ERRNO_NOTDIR, __WASI_ERRNO_EXIST);
  EQ(__wasi_path_symlink("source", ROOT, "file"), __WASI_ERRNO_EXIST);
  EQ(__wasi_path_symlink("/etc", ROOT, "absolute"), __WASI_ERRNO_PERM);
  OK(__wasi_path_unlink_file(ROOT, "file"));
}

static void escapes(void) {
  __wasi_filestat_t stat;
  uint8_t buf[8];
  __wasi_size_t used;
  static const char *const OUT[] = {"/etc/passwd", "..", "../", "../x", "./.././x", "a/../../x"};
  OK(__wasi_path_create_directory(ROOT, "a"));
  for (size_t i = 0; i < sizeof OUT / sizeof *OUT; i++) {
    EQ(open_error(OUT[i], FOLLOW, 0, 0), __WASI_ERRNO_PERM);
    EQ(open_error(OUT[i], 0, CREAT, RW), __WASI_ERRNO_PERM);
    EQ(__wasi_path_filestat_get(ROOT, 0, OUT[i], &stat), __WASI_ERRNO_PERM);
    EQ(__wasi_path_filestat_get(ROOT, FOLLOW, OUT[i], &stat), __WASI_ERRNO_PERM);
    EQ(__wasi_path_create_directory(ROOT, OUT[i]), __WASI_ERRNO_PERM);
    EQ(__wasi_path_remove_directory(ROOT, OUT[i]), __WASI_ERRNO_PERM);
    EQ(__wasi_path_unlink_file(ROOT, OUT[i]), __WASI_ERRNO_PERM);
    EQ(__wasi_path_readlink(ROOT, OUT[i], buf, sizeof buf, &used), __WASI_ERRNO_PERM);
    EQ(__wasi_path_rename(ROOT, OUT[i], ROOT, "b"), __WASI_ERRNO_PERM);
    EQ(__wasi_path_rename(ROOT, "a", ROOT, OUT[i]), __WASI_ERRNO_PERM);
    EQ(__wasi_path_symlink("a", ROOT, OUT[i]), __WASI_ERRNO_PERM);
    EQ(__wasi_path_link(ROOT, 0, OUT[i], ROOT, "b"), __WASI_ERRNO_PERM);
    EQ(__wasi_path_filestat_set_times(ROOT, 0, OUT[i], 0, 0, __WASI_FSTFLAGS_MTIM), __WASI_ERRNO_PERM);
  }
  OK(__wasi_path_symlink("../..", ROOT, "up"));
  EQ(open_error("up", FOLLOW, 0, 0), __WASI_ERRNO_PERM);
  EQ(open_error("up/x", 0, CREAT, RW), __WASI_ERRNO_PERM);
  EQ(__wasi_path_filestat_get(ROOT, FOLLOW, "up", &stat), __WASI_ERRNO_PERM);
  OK(__wasi_path_unlink_file(ROOT, "up"));
  EQ(open_error("", 0, 0, 0), __WASI_ERRNO_NOENT);
  OK(__wasi_path_remove_directory(ROOT, "a"));
}

static void renumber(void) {
  int one = open_ok("one", CREAT, RW, 0);
  int two = open_ok("two", CREAT, RW, 0);
  EQ(write_text(one, "1"), 1);
  OK(__wasi_fd_renumber(one, two));
  EQ(__wasi_fd_close(one), __WASI_ERRNO_BADF);
  __wasi_filestat_t stat;
  OK(__wasi_fd_filestat_get(two, &stat));
  EQ(stat.size, 1);
  EQ(__wasi_fd_renumber(two, one), __WASI_ERRNO_BADF);
  if (exact()) {
    // The lowest free number is given out again.
    int again = open_ok("one", 0, 0, 0);
    EQ(again, one);
    OK(__wasi_fd_close(again));
  }
  OK(__wasi_fd_close(two));
  OK(__wasi_path_unlink_file(ROOT, "one"));
  OK(__wasi_path_unlink_file(ROOT, "two"));
}

int main(void) {
  preopens();
  read_and_write();
  access_modes();
  flags();
  rights();
  times();
  directories();
  listings();
  renames();
  hard_links();
  symlinks();
  escapes();
  renumber();
  return 0;
}
