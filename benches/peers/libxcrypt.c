/* Checks a password with crypt(3) of libxcrypt. Arguments: the password and a setting, such as $6$salt$. */
#include <crypt.h>
#include <string.h>

#include "checks.h"

static const char *password;
static char stored[CRYPT_OUTPUT_SIZE];
static struct crypt_data data;

static int check(void)
{
    const char *hash = crypt_r(password, stored, &data);

    return hash && strcmp(hash, stored) == 0;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    password = argv[1];
    const char *hash = crypt_r(password, argv[2], &data);
    /* A setting that is not supported gives a text that starts with an asterisk (crypt(3)). */
    if (!hash || *hash == '*')
        return 1;
    strcpy(stored, hash);
    return answer_lines(stored, check);
}
