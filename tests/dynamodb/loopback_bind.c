// Preloaded into DynamoDB Local, which listens on every address and has no flag for that: what would
// be bound to all of them is bound to loopback.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

int bind(int socket, const struct sockaddr *address, socklen_t size) {
  int (*next)(int, const struct sockaddr *, socklen_t) = NULL;
  *(void **)&next = dlsym(RTLD_NEXT, "bind");
  if (address->sa_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
    struct sockaddr_in loopback;
    memcpy(&loopback, address, sizeof(loopback));
    if (loopback.sin_addr.s_addr == htonl(INADDR_ANY)) {
      loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    return next(socket, (const struct sockaddr *)&loopback, sizeof(loopback));
  }
  return next(socket, address, size);
}
