/* The script's job as a CGI program in C: one answer from the environment. */
#include <stdio.h>
#include <stdlib.h>

#include "rules.h"

int main(void)
{
    const char *login = getenv("HTTP_AUTH_USER");
    const char *password = getenv("HTTP_AUTH_PASS");

    if (login && password)
        printf(ACCEPTED, server_of(login), port_of(getenv("HTTP_AUTH_PROTOCOL")));
    else
        fputs(REFUSED, stdout);
    return 0;
}
