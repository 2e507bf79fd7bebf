/* Loaded with LD_PRELOAD: numbers the calls that change files below a folder, over all processes of a run, and lets
   one of them fail. The control file $FAULT_CONTROL, which every process maps, is laid out in injector.py.

   mode kill     the process dies by SIGKILL before the call
        eio      the call fails with EIO
        enospc   from this call on, every call that needs space fails with ENOSPC
        torn     a write writes half of its bytes, any other call is made; then the process dies by SIGKILL

   What stdio writes is no call of its own here (glibc calls write within itself); fopen and fclose are. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define TEXT 1024
enum { KILL = 1, EIO_ONCE, FULL, TORN };

struct control {
  uint64_t calls, point;
  uint32_t mode, is_full;
  char root[TEXT], log[TEXT], hit[TEXT];
};

static struct control *control;

__attribute__((constructor)) static void map_control(void) {
  const char *path = getenv("FAULT_CONTROL");
  int file = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  syscall(SYS_close, file);
  if (mapped != MAP_FAILED) control = mapped;
}

/* Whether *path*, relative to the folder *folder* (AT_FDCWD or a descriptor), lies below the root; *full* is its name. */
static int is_below(int folder, const char *path, char *full) {
  if (!control || !control->root[0] || !path) return 0;
  if (path[0] == '/') {
    snprintf(full, PATH_MAX, "%s", path);
  } else {
    char link[64], base[PATH_MAX / 2];
    if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, base, sizeof base - 1);
    if (length < 0) return 0;
    base[length] = 0;
    snprintf(full, PATH_MAX, "%s/%.*s", base, PATH_MAX / 2 - 2, path);
  }
  size_t length = strlen(control->root);
  return !strncmp(full, control->root, length) && (full[length] == '/' || !full[length]);
}

static int is_file_below(int file, char *full) {
  char link[64];
  if (!control || !control->root[0]) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, full, PATH_MAX - 1);
  if (length < 0) return 0;
  full[length] = 0;
  return is_below(AT_FDCWD, full, (char[PATH_MAX]){0});
}

static void die(void) {
  syscall(SYS_kill, getpid(), SIGKILL);
  for (;;) pause();
}

/* Count a call; the mode that it has to act out now, 0 for none. */
static int reached(const char *call, const char *path, int needs_space) {
  uint64_t number = __atomic_add_fetch(&control->calls, 1, __ATOMIC_SEQ_CST);
  if (control->log[0]) {
    char line[PATH_MAX + 128];
    int length = snprintf(line, sizeof line, "%lu\t%s\t%s\n", (unsigned long)number, call, path);
    int file = syscall(SYS_openat, AT_FDCWD, control->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file >= 0) {
      if (syscall(SYS_write, file, line, length) != length) control->log[0] = 0;
      syscall(SYS_close, file);
    }
  }
  if (number == control->point) {
    snprintf(control->hit, TEXT, "%s %.900s", call, path);
    if (control->mode == KILL) die();
    if (control->mode == FULL) control->is_full = 1;
    if (control->mode != FULL) return control->mode;
  }
  return control->is_full && needs_space ? FULL : 0;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define FAIL(mode, result) if ((mode) == EIO_ONCE || (mode) == FULL) { errno = (mode) == FULL ? ENOSPC : EIO; return result; }

/* The call with what it has to act out: *before* says whether it concerns us. */
#define CALL(name, before, path, needs_space, failed, call)                     \
  REAL(name);                                                                   \
  char full[PATH_MAX];                                                          \
  int mode = (before) ? reached(#name, path, needs_space) : 0;                  \
  FAIL(mode, failed)                                                            \
  __typeof__(call) result = call;                                               \
  if (mode == TORN) die();                                                      \
  return result;

#define WRITES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))
#define MODE(flags) mode_t bits = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); bits = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) {
  MODE(flags)
  CALL(open, WRITES(flags) && is_below(AT_FDCWD, path, full), full, flags & O_CREAT, -1, real(path, flags, bits))
}
int open64(const char *path, int flags, ...) {
  MODE(flags)
  CALL(open64, WRITES(flags) && is_below(AT_FDCWD, path, full), full, flags & O_CREAT, -1, real(path, flags, bits))
}
int openat(int folder, const char *path, int flags, ...) {
  MODE(flags)
  CALL(openat, WRITES(flags) && is_below(folder, path, full), full, flags & O_CREAT, -1, real(folder, path, flags, bits))
}
int openat64(int folder, const char *path, int flags, ...) {
  MODE(flags)
  CALL(openat64, WRITES(flags) && is_below(folder, path, full), full, flags & O_CREAT, -1, real(folder, path, flags, bits))
}
FILE *fopen(const char *path, const char *how) {
  CALL(fopen, strpbrk(how, "wa+") && is_below(AT_FDCWD, path, full), full, 1, NULL, real(path, how))
}
FILE *fopen64(const char *path, const char *how) {
  CALL(fopen64, strpbrk(how, "wa+") && is_below(AT_FDCWD, path, full), full, 1, NULL, real(path, how))
}
int fclose(FILE *stream) { /* what it holds back is written now; the stream is closed either way */
  REAL(fclose);
  char full[PATH_MAX];
  int is_ours = stream && (fcntl(fileno(stream), F_GETFL) & (O_WRONLY | O_RDWR)) && is_file_below(fileno(stream), full);
  int mode = is_ours ? reached("fclose", full, 1) : 0;
  int result = real(stream);
  if (mode == TORN) die();
  FAIL(mode, EOF)
  return result;
}

ssize_t write(int file, const void *bytes, size_t count) {
  CALL(write, is_file_below(file, full), full, 1, -1, real(file, bytes, mode == TORN ? count / 2 : count))
}
ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
  CALL(pwrite, is_file_below(file, full), full, 1, -1, real(file, bytes, mode == TORN ? count / 2 : count, offset))
}
ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
  CALL(pwrite64, is_file_below(file, full), full, 1, -1, real(file, bytes, mode == TORN ? count / 2 : count, offset))
}
ssize_t writev(int file, const struct iovec *parts, int count) {
  CALL(writev, is_file_below(file, full), full, 1, -1, real(file, parts, mode == TORN ? count / 2 : count))
}
ssize_t sendfile(int out, int in, off_t *offset, size_t count) {
  CALL(sendfile, is_file_below(out, full), full, 1, -1, real(out, in, offset, mode == TORN ? count / 2 : count))
}
ssize_t sendfile64(int out, int in, off64_t *offset, size_t count) {
  CALL(sendfile64, is_file_below(out, full), full, 1, -1, real(out, in, offset, mode == TORN ? count / 2 : count))
}
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t count, unsigned flags) {
  CALL(copy_file_range, is_file_below(out, full), full, 1, -1,
       real(in, from, out, to, mode == TORN ? count / 2 : count, flags))
}

int rename(const char *from, const char *to) {
  CALL(rename, is_below(AT_FDCWD, to, full), full, 0, -1, real(from, to))
}
int renameat(int old, const char *from, int new, const char *to) {
  CALL(renameat, is_below(new, to, full), full, 0, -1, real(old, from, new, to))
}
int renameat2(int old, const char *from, int new, const char *to, unsigned flags) {
  CALL(renameat2, is_below(new, to, full), full, 0, -1, real(old, from, new, to, flags))
}
int link(const char *from, const char *to) {
  CALL(link, is_below(AT_FDCWD, to, full), full, 1, -1, real(from, to))
}
int linkat(int old, const char *from, int new, const char *to, int flags) {
  CALL(linkat, is_below(new, to, full), full, 1, -1, real(old, from, new, to, flags))
}
int symlink(const char *target, const char *path) {
  CALL(symlink, is_below(AT_FDCWD, path, full), full, 1, -1, real(target, path))
}
int unlink(const char *path) {
  CALL(unlink, is_below(AT_FDCWD, path, full), full, 0, -1, real(path))
}
int unlinkat(int folder, const char *path, int flags) {
  CALL(unlinkat, is_below(folder, path, full), full, 0, -1, real(folder, path, flags))
}
int rmdir(const char *path) {
  CALL(rmdir, is_below(AT_FDCWD, path, full), full, 0, -1, real(path))
}
int mkdir(const char *path, mode_t bits) {
  CALL(mkdir, is_below(AT_FDCWD, path, full), full, 1, -1, real(path, bits))
}
int mkdirat(int folder, const char *path, mode_t bits) {
  CALL(mkdirat, is_below(folder, path, full), full, 1, -1, real(folder, path, bits))
}
int fsync(int file) {
  CALL(fsync, is_file_below(file, full), full, 0, -1, real(file))
}
int fdatasync(int file) {
  CALL(fdatasync, is_file_below(file, full), full, 0, -1, real(file))
}
int ftruncate(int file, off_t size) {
  CALL(ftruncate, is_file_below(file, full), full, 0, -1, real(file, size))
}
int ftruncate64(int file, off64_t size) {
  CALL(ftruncate64, is_file_below(file, full), full, 0, -1, real(file, size))
}
