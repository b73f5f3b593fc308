/* A hostile job: tries each way out by its name, and says REACHED or stopped. Needs nothing but the kernel.
   Each is harmless where it leads out: what is changed is the test's own, or is only opened. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *secret, *unix_path, *unix_name;
static int port, victim;
static struct sockaddr_in to;

static int word(int fd, const char *name) {
    if (fd < 0) return -1;
    return send(fd, name, strlen(name), 0) > 0 ? 0 : -1;
}
static int by(int family, int kind, int protocol, const char *name) {
    int fd = socket(family, kind, protocol);
    if (fd < 0 || connect(fd, (void *)&to, sizeof to)) return -1;
    return word(fd, name);
}
static int fastopen_to(const char *name) {
    return sendto(socket(AF_INET, SOCK_STREAM, 0), name, strlen(name), 0x20000000, (void *)&to, sizeof to) > 0 ? 0 : -1;
}
static struct iovec text;
static struct msghdr message(const char *name) {
    text = (struct iovec){(void *)name, strlen(name)};
    return (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &text, .msg_iovlen = 1};
}
static int fastopen_msg(const char *name) {
    struct msghdr m = message(name);
    return sendmsg(socket(AF_INET, SOCK_STREAM, 0), &m, 0x20000000) > 0 ? 0 : -1;
}
static int fastopen_mmsg(const char *name) {
    struct mmsghdr m = {.msg_hdr = message(name)};
    return sendmmsg(socket(AF_INET, SOCK_STREAM, 0), &m, 1, 0x20000000) > 0 ? 0 : -1;
}
static int option(int number, const void *value, int len, const char *name) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (setsockopt(fd, IPPROTO_TCP, number, value, len)) return -1;
    if (connect(fd, (void *)&to, sizeof to)) return 0;
    return word(fd, name);
}
static int unix_to(int kind, int by_name, int pair) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *where = by_name ? unix_name : unix_path;
    int fds[2];
    strncpy(a.sun_path + by_name, where, sizeof a.sun_path - 2);
    if (pair ? socketpair(AF_UNIX, kind, 0, fds) : (fds[0] = socket(AF_UNIX, kind, 0)) < 0) return -1;
    socklen_t len = offsetof(struct sockaddr_un, sun_path) + by_name + strlen(where);
    return connect(fds[0], (void *)&a, len);
}
static int opens(const char *path, int flags) {
    int fd = open(path, flags);
    return fd < 0 && errno != ENXIO ? -1 : 0;
}
static int of_victim(const char *file, int flags) {
    char path[64], byte;
    snprintf(path, sizeof path, "/proc/%d/%s", victim, file);
    int fd = open(path, flags);
    return fd < 0 || read(fd, &byte, 1) < 1 ? -1 : 0;
}
static int raw(long number, long a, long b, long c, long d) { return syscall(number, a, b, c, d) < 0 ? -1 : 0; }
#ifdef __x86_64__
static int x32(void) { return syscall(0x40000000 | 41, AF_INET, SOCK_STREAM, 262) < 0 ? -1 : 0; }
static int bits32(void) {
    long out;
    __asm__ volatile("int $0x80" : "=a"(out) : "a"(359), "b"(AF_INET), "c"(SOCK_STREAM), "d"(262) : "memory", "r8", "r9", "r10", "r11");
    return out < 0 ? -1 : 0;
}
#else
static int x32(void) { return -1; }
static int bits32(void) { return -1; }
#endif
static char stack[65536];
static int nothing(void *unused) { (void)unused; return 0; }
static int clones(int flags) {
    int pid = clone(nothing, stack + sizeof stack, flags | SIGCHLD, NULL);
    if (pid < 0) return -1;
    return waitpid(pid, NULL, 0) < 0 ? -1 : 0;
}
static int descriptor(void) {
    for (int fd = 3; fd < 256; fd++) if (fcntl(fd, F_GETFD) >= 0) return 0;
    errno = EBADF;
    return -1;
}
static int terminal_input(void) { char c = 0; return ioctl(1, TIOCSTI, &c) && errno != EPERM ? 0 : -1; }
static int handle(void) {
    struct { struct file_handle h; char more[128]; } f = {.h = {.handle_bytes = 128}};
    int mount;
    return name_to_handle_at(AT_FDCWD, "/usr", &f.h, &mount, 0);
}
static int session(int of) { return getsid(0) == of ? 0 : -1; }

#define TRY(NAME, CALL)                                                                    \
    do {                                                                                   \
        fflush(stdout);                                                                    \
        int pid = fork(), status = 0;                                                      \
        if (!pid) { alarm(5); errno = 0; _exit((CALL) == 0 ? 42 : errno % 128 == 42 ? 1 : errno % 128); } \
        waitpid(pid, &status, 0);                                                          \
        int led = WIFEXITED(status) && WEXITSTATUS(status) == 42;                          \
        printf("way %s %s %d\n", NAME, led ? "REACHED" : "stopped", status);               \
    } while (0)

int main(int argc, char **argv) {
    if (argc < 6) return 64;
    port = atoi(argv[1]); unix_path = argv[2]; unix_name = argv[3]; secret = argv[4]; victim = atoi(argv[5]);
    to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char full[4096];
    int one = 1;
    snprintf(full, sizeof full, "%s.new", secret);
    TRY("connect", by(AF_INET, SOCK_STREAM, 0, "connect"));
    TRY("fast-open-sendto", fastopen_to("fast-open-sendto"));
    TRY("fast-open-sendmsg", fastopen_msg("fast-open-sendmsg"));
    TRY("fast-open-sendmmsg", fastopen_mmsg("fast-open-sendmmsg"));
    TRY("fast-open-option", option(30, &one, sizeof one, "fast-open-option"));
    TRY("upper-protocol-smc", option(31, "smc", 3, "upper-protocol-smc"));
    TRY("mptcp", by(AF_INET, SOCK_STREAM, 262, "mptcp"));
    TRY("smc-family", by(43, SOCK_STREAM, 0, "smc-family"));
    TRY("smc-protocol", by(AF_INET, SOCK_STREAM, 256, "smc-protocol"));
    TRY("sctp", raw(SYS_socket, AF_INET, SOCK_STREAM, 132, 0));
    TRY("sctp-packets", raw(SYS_socket, AF_INET, SOCK_SEQPACKET, 132, 0));
    TRY("dccp", raw(SYS_socket, AF_INET, 6, 33, 0));
    TRY("raw-ip", raw(SYS_socket, AF_INET, SOCK_RAW, 6, 0));
    TRY("packet", raw(SYS_socket, AF_PACKET, SOCK_RAW, 0, 0));
    TRY("vsock", raw(SYS_socket, AF_VSOCK, SOCK_STREAM, 0, 0));
    TRY("tipc", raw(SYS_socket, AF_TIPC, SOCK_STREAM, 0, 0));
    TRY("crypto", raw(SYS_socket, AF_ALG, SOCK_SEQPACKET, 0, 0));
    TRY("netlink-events", raw(SYS_socket, AF_NETLINK, SOCK_RAW, 15, 0));
    TRY("netlink-filter", raw(SYS_socket, AF_NETLINK, SOCK_RAW, 12, 0));
    TRY("x32-call", x32());
    TRY("32-bit-call", bits32());
    char params[256] = {0};
    TRY("ring", raw(SYS_io_uring_setup, 2, (long)params, 0, 0));
    TRY("socket-in-file", unix_to(SOCK_STREAM, 0, 0));
    TRY("socket-in-file-datagram", unix_to(SOCK_DGRAM, 0, 1));
    TRY("socket-by-name", unix_to(SOCK_STREAM, 1, 0));
    TRY("read-file", opens(secret, O_RDONLY));
    TRY("write-file", opens(secret, O_WRONLY | O_APPEND));
    TRY("truncate-file", truncate(secret, 0));
    TRY("change-mode", chmod(secret, 0666));
    TRY("change-owner", chown(secret, 65534, 65534));
    TRY("change-times", utimensat(AT_FDCWD, secret, NULL, 0));
    TRY("rename-file", rename(secret, full));
    TRY("remove-file", unlink(secret));
    struct stat seen;
    TRY("look-at-file", stat(secret, &seen));
    TRY("shadow", opens("/etc/shadow", O_RDONLY));
    TRY("descriptor", descriptor());
    TRY("terminal-new", opens("/dev/ptmx", O_RDWR));
    TRY("terminal-others", opens("/dev/pts/0", O_RDWR));
    TRY("terminal-own", opens("/dev/tty", O_RDWR));
    TRY("console", opens("/dev/console", O_RDWR));
    TRY("terminal-input", terminal_input());
    TRY("session", session(getsid(victim)));
    TRY("signal", kill(victim, SIGUSR1));
    TRY("trace", raw(SYS_ptrace, 0x4206, victim, 0, 0));
    TRY("memory-by-call", raw(SYS_process_vm_readv, victim, (long)&text, 1, (long)&text));
    TRY("memory-by-file", of_victim("mem", O_RDONLY));
    TRY("environment", of_victim("environ", O_RDONLY));
    TRY("compare", raw(SYS_kcmp, getpid(), getpid(), 0, 0));
    TRY("user-namespace", unshare(CLONE_NEWUSER));
    TRY("user-namespace-clone", clones(CLONE_NEWUSER));
    TRY("network-namespace", unshare(CLONE_NEWNET));
    TRY("mount", mount("none", "not-there", "tmpfs", 0, NULL) && errno != EPERM ? 0 : -1);
    TRY("unmount", umount2("not-there", MNT_DETACH) && errno != EPERM ? 0 : -1);
    TRY("chroot", chroot("."));
    TRY("handle", handle());
    TRY("handle-open", raw(SYS_open_by_handle_at, AT_FDCWD, 0, 0, 0) && errno == EFAULT ? 0 : -1);
    TRY("keyring", raw(SYS_keyctl, 0, -3, 0, 0) && errno != EPERM ? 0 : -1);
    TRY("keyring-add", raw(SYS_add_key, 0, 0, 0, 0) && errno != EPERM ? 0 : -1);
    TRY("bpf", raw(SYS_bpf, 0, (long)params, 64, 0) && errno != EPERM ? 0 : -1);
    TRY("perf-events", raw(SYS_perf_event_open, (long)params, 0, -1, -1) && errno != EPERM ? 0 : -1);
    TRY("page-faults", raw(SYS_userfaultfd, 1, 0, 0, 0));
    TRY("file-events", raw(SYS_fanotify_init, 0, 0, 0, 0));
    TRY("kernel-module", raw(SYS_finit_module, -1, (long)"", 0, 0) && errno == EBADF ? 0 : -1);
    TRY("kernel-image", raw(SYS_kexec_load, 0, 1000, 0, 0) && errno != EPERM ? 0 : -1);
    TRY("kernel-log", raw(SYS_syslog, 10, 0, 0, 0));
    TRY("kernel-setting", opens("/proc/sys/kernel/core_pattern", O_WRONLY));
    TRY("sysrq", opens("/proc/sysrq-trigger", O_WRONLY));
    TRY("cgroup", opens("/sys/fs/cgroup/cgroup.procs", O_WRONLY));
    TRY("host-name", sethostname("", 65000) && errno != EPERM ? 0 : -1);
    return 0;
}
