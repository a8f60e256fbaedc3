/* deptsim: five (or any number of) departments in one process.
 *
 *     deptsim PORT...
 *
 * Every port of 127.0.0.1 is one department. GET or POST, any path: the same JSON record of `size` bytes after `delay`
 * milliseconds. GET /control?delay=20&size=512&hang=1&fail=0 changes the port it is asked on and tells what that port
 * served; `hang=1` takes requests and never answers them, `fail=1` answers 503.
 *
 * All answers of a port wait equally long, so the ones that wait stand in a queue and the first of it is due first: no
 * timer structure is needed. One request at a time on a connection (no pipelining), bodies with Content-Length only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_DEPARTMENTS = 32, MAX_FDS = 65536, BUFFER = 8192, EVENTS = 256 };

struct waiting {
    int64_t due; /* ns, monotonic */
    int fd;
    uint32_t life;
};

struct department {
    int listener, number, size, hang, fail;
    double delay;
    char *reply;
    size_t reply_len;
    struct waiting *queue; /* a ring; its length is a power of two */
    size_t head, count, room;
    uint64_t served, hung, failed;
};

struct connection {
    struct department *owner;
    uint32_t life; /* tells this connection from an earlier one with the same number */
    int busy, last;
    size_t have;
    char in[BUFFER];
};

static struct department departments[MAX_DEPARTMENTS];
static int department_count, poll_fd;
static struct connection *connections[MAX_FDS];
static uint32_t lives;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* The record: fixed facts, as many fee lines as fit, and a remark that fills it up to the size. */
static void write_reply(struct department *d) {
    size_t room = (size_t)d->size + 512, n;
    char *body = malloc(room);
    n = (size_t)snprintf(body, room,
                         "{\"department\":\"bench-%d\",\"receipt\":\"B%d-%08d\",\"state\":\"accepted\","
                         "\"decided_at\":\"2026-03-02T01:30:00Z\",\"lines\":[",
                         d->number, d->number, d->number * 104729);
    for (int i = 0; n + 120 < (size_t)d->size; i++)
        n += (size_t)snprintf(body + n, room - n, "%s{\"code\":\"L%03d\",\"kind\":\"fee\",\"amount_fen\":%d,\"paid\":false}",
                              i ? "," : "", i, 1000 + 25 * i);
    n += (size_t)snprintf(body + n, room - n, "],\"remark\":\"");
    while (n + 2 < (size_t)d->size) body[n++] = '.';
    n += (size_t)snprintf(body + n, room - n, "\"}");
    free(d->reply);
    d->reply = malloc(n + 128);
    d->reply_len = (size_t)sprintf(d->reply, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", n);
    memcpy(d->reply + d->reply_len, body, n);
    d->reply_len += n;
    free(body);
}

static void hang_up(int fd) {
    free(connections[fd]);
    connections[fd] = NULL;
    close(fd);
}

/* Answers are small and asked for one at a time, so the socket always has room; a client that proves otherwise goes. */
static void send_all(int fd, const char *data, size_t len) {
    struct connection *c = connections[fd];
    c->busy = 0;
    if (write(fd, data, len) != (ssize_t)len || c->last) hang_up(fd);
}

static void answer(int fd) {
    static const char failure[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
                                  "Content-Length: 16\r\n\r\n{\"error\":\"busy\"}";
    struct department *d = connections[fd]->owner;
    if (d->fail) {
        d->failed++;
        send_all(fd, failure, sizeof failure - 1);
    } else {
        d->served++;
        send_all(fd, d->reply, d->reply_len);
    }
}

static void wait_in_line(int fd) {
    struct department *d = connections[fd]->owner;
    if (d->count == d->room) {
        size_t room = d->room ? d->room * 2 : 256;
        struct waiting *q = malloc(room * sizeof *q);
        for (size_t i = 0; i < d->count; i++) q[i] = d->queue[(d->head + i) & (d->room - 1)];
        free(d->queue);
        d->queue = q;
        d->head = 0;
        d->room = room;
    }
    d->queue[(d->head + d->count++) & (d->room - 1)] =
        (struct waiting){now_ns() + (int64_t)(d->delay * 1e6), fd, connections[fd]->life};
}

static double option(const char *query, const char *name, double otherwise) {
    const char *at = strstr(query, name);
    return at ? strtod(at + strlen(name), NULL) : otherwise;
}

static void control(int fd, const char *query) {
    struct department *d = connections[fd]->owner;
    char body[160], out[320];
    d->delay = option(query, "delay=", d->delay);
    d->size = (int)option(query, "size=", d->size);
    d->hang = (int)option(query, "hang=", d->hang);
    d->fail = (int)option(query, "fail=", d->fail);
    write_reply(d);
    int n = snprintf(body, sizeof body, "{\"served\":%llu,\"hung\":%llu,\"failed\":%llu}", (unsigned long long)d->served,
                     (unsigned long long)d->hung, (unsigned long long)d->failed);
    n = snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", n, body);
    send_all(fd, out, (size_t)n);
}

static void handle(int fd) {
    struct connection *c = connections[fd];
    if (c->busy) return;
    char *end = memmem(c->in, c->have, "\r\n\r\n", 4);
    if (!end) return;
    size_t length = 0;
    end[2] = 0; /* the header lines are one string now */
    char *field = strcasestr(c->in, "\r\ncontent-length:");
    if (field) length = strtoul(field + 17, NULL, 10);
    c->last = strcasestr(c->in, "\r\nconnection: close") != NULL;
    end[2] = '\r';
    size_t whole = (size_t)(end - c->in) + 4 + length;
    if (whole > BUFFER) {
        hang_up(fd);
        return;
    }
    if (c->have < whole) return;
    int is_control = c->have > 12 && memcmp(c->in, "GET /control", 12) == 0;
    char line[256] = "";
    if (is_control) sscanf(c->in, "%255[^\r]", line);
    c->have = 0; /* whatever came after it was pipelined, which nobody here does */
    c->busy = 1;
    if (is_control) control(fd, line);
    else if (c->owner->hang) c->owner->hung++;
    else if (c->owner->delay > 0) wait_in_line(fd);
    else answer(fd);
}

static void receive(int fd) {
    struct connection *c = connections[fd];
    if (!c) return;
    ssize_t n = c->have < BUFFER ? read(fd, c->in + c->have, BUFFER - c->have) : 0;
    if (n > 0) {
        c->have += (size_t)n;
        handle(fd);
    } else if (n == 0 || errno != EAGAIN) {
        hang_up(fd);
    }
}

static void accept_all(struct department *d) {
    int fd, yes = 1;
    while ((fd = accept4(d->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MAX_FDS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct connection *c = connections[fd] = malloc(sizeof *c);
        c->owner = d;
        c->life = ++lives;
        c->busy = c->last = 0;
        c->have = 0;
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
    }
}

/* Answers what is due; returns how long to sleep, or NULL when nobody waits. */
static struct timespec *answer_due(struct timespec *sleep) {
    int64_t now = now_ns(), next = INT64_MAX;
    for (int i = 0; i < department_count; i++) {
        struct department *d = &departments[i];
        while (d->count && d->queue[d->head].due <= now) {
            struct waiting w = d->queue[d->head];
            d->head = (d->head + 1) & (d->room - 1);
            d->count--;
            if (connections[w.fd] && connections[w.fd]->life == w.life) answer(w.fd);
        }
        if (d->count && d->queue[d->head].due < next) next = d->queue[d->head].due;
    }
    if (next == INT64_MAX) return NULL;
    sleep->tv_sec = (next - now) / 1000000000;
    sleep->tv_nsec = (next - now) % 1000000000;
    return sleep;
}

static void open_department(int port) {
    struct department *d = &departments[department_count];
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int yes = 1;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    d->number = ++department_count;
    d->size = 512;
    d->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(d->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(d->listener, (struct sockaddr *)&where, sizeof where) || listen(d->listener, 4096)) die("deptsim");
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, d->listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = d->listener});
    write_reply(d);
}

static struct department *listening_on(int fd) {
    for (int i = 0; i < department_count; i++)
        if (departments[i].listener == fd) return &departments[i];
    return NULL;
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS];
    struct timespec sleep;
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1000UL); /* sleep to the microsecond, not to the kernel's usual fifty */
    poll_fd = epoll_create1(0);
    for (int i = 1; i < argc && i <= MAX_DEPARTMENTS; i++) open_department(atoi(argv[i]));
    if (!department_count) return fputs("usage: deptsim PORT...\n", stderr), 2;
    for (;;) {
        int n = epoll_pwait2(poll_fd, events, EVENTS, answer_due(&sleep), NULL);
        for (int i = 0; i < n; i++) {
            struct department *d = listening_on(events[i].data.fd);
            if (d) accept_all(d);
            else receive(events[i].data.fd);
        }
    }
}
