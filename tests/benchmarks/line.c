/* line NAME MICROSECONDS

   A network device NAME here, a second one of that name in a network namespace of this process's own, and a wire between them
   on which every packet takes so long. Says "ready" when both are there. They are gone when it ends, and it ends with its parent. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 65536, LARGEST = 65536 };

struct packet { long long due; int length; char *data; };

struct way {
    int in, out;
    long long delay;
    struct packet queue[SLOTS];
    unsigned head, tail;
    pthread_mutex_t lock;
    pthread_cond_t filled;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static int device(const char *name)
{
    struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
    int file = open("/dev/net/tun", O_RDWR);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (file < 0 || ioctl(file, TUNSETIFF, &request)) die(name);
    return file;
}

static void put(struct way *way, const char *data, int length)
{
    pthread_mutex_lock(&way->lock);
    if (way->tail - way->head < SLOTS) { /* else it is lost, as on a wire that is full */
        struct packet *packet = &way->queue[way->tail++ % SLOTS];
        *packet = (struct packet){ now() + way->delay, length, memcpy(malloc(length), data, length) };
        pthread_cond_signal(&way->filled);
    }
    pthread_mutex_unlock(&way->lock);
}

static struct packet next(struct way *way)
{
    pthread_mutex_lock(&way->lock);
    while (way->head == way->tail) pthread_cond_wait(&way->filled, &way->lock);
    struct packet packet = way->queue[way->head++ % SLOTS];
    pthread_mutex_unlock(&way->lock);
    return packet;
}

static void *receive(void *argument)
{
    struct way *way = argument;
    char buffer[LARGEST];
    for (;;) {
        int length = read(way->in, buffer, sizeof buffer);
        if (length > 0) put(way, buffer, length);
        else if (errno != EINTR) die("read");
    }
}

static void *transmit(void *argument)
{
    struct way *way = argument;
    for (;;) {
        struct packet packet = next(way);
        struct timespec due = { packet.due / 1000000, packet.due % 1000000 * 1000 };
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        if (write(way->out, packet.data, packet.length) < 0) { /* the device is not up: lost */ }
        free(packet.data);
    }
}

static void begin(int in, int out, long long delay)
{
    struct way *way = calloc(1, sizeof *way);
    pthread_t thread;
    way->in = in, way->out = out, way->delay = delay;
    pthread_mutex_init(&way->lock, NULL);
    pthread_cond_init(&way->filled, NULL);
    pthread_create(&thread, NULL, receive, way);
    pthread_create(&thread, NULL, transmit, way);
}

int main(int count, char **words)
{
    if (count != 3) {
        fprintf(stderr, "line NAME MICROSECONDS\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int near = device(words[1]);
    if (unshare(CLONE_NEWNET)) die("unshare");
    int far = device(words[1]);
    begin(near, far, atoll(words[2]));
    begin(far, near, atoll(words[2]));
    puts("ready");
    fflush(stdout);
    pause();
}
