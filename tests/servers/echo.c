/* What libfcgi makes of a request: answers each with its variables, one after the other, each with
   four bytes of length before it; with the argument "stdin", when it has read that. Listens on
   descriptor 0. */
#include <fcgiapp.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    FCGX_Request request;

    if (FCGX_Init() != 0 || FCGX_InitRequest(&request, 0, 0) != 0)
        return 1;
    while (FCGX_Accept_r(&request) == 0) {
        char **variable;

        for (variable = request.envp; *variable; variable++) {
            size_t length = strlen(*variable);
            int shift;

            for (shift = 24; shift >= 0; shift -= 8)
                FCGX_PutChar((int)(length >> shift & 0xff), request.out);
            FCGX_PutStr(*variable, (int)length, request.out);
        }
        /* What it has not read of a kept connection would be lost. */
        while (argc > 1 && strcmp(argv[1], "stdin") == 0 && FCGX_GetChar(request.in) != EOF)
            ;
        FCGX_Finish_r(&request);
    }
    return 0;
}
