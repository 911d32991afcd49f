/* The script's job as a C program with libfcgi, listening on descriptor 0. */
#include <fcgiapp.h>

#include "rules.h"

int main(void)
{
    FCGX_Request request;

    if (FCGX_Init() != 0 || FCGX_InitRequest(&request, 0, 0) != 0)
        return 1;
    while (FCGX_Accept_r(&request) == 0) {
        const char *login = FCGX_GetParam("HTTP_AUTH_USER", request.envp);
        const char *password = FCGX_GetParam("HTTP_AUTH_PASS", request.envp);

        if (login && password)
            FCGX_FPrintF(request.out, ACCEPTED, server_of(login),
                         port_of(FCGX_GetParam("HTTP_AUTH_PROTOCOL", request.envp)));
        else
            FCGX_PutS(REFUSED, request.out);
        FCGX_Finish_r(&request);
    }
    return 0;
}
