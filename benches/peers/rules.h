/* The rules of the original PHP script in C, shared by the two C peers. */
#include <string.h>

/* The default answer of the script for a request that lacks the login or the password. */
#define REFUSED "Auth-Status: Invalid login or password\n\n"

/* The format of an accepting answer: mail server, port. */
#define ACCEPTED "Auth-Status: OK\nAuth-Server: %s\nAuth-Port: %d\n\n"

static inline int port_of(const char *protocol)
{
    if (protocol && strcmp(protocol, "imap") == 0)
        return 143;
    if (protocol && strcmp(protocol, "smtp") == 0)
        return 25;
    return 110;
}

static inline const char *server_of(const char *login)
{
    return *login && strchr("acfg", *login) ? "192.168.1.22" : "192.168.1.33";
}
