/* Checks a password with Argon2id of libargon2. Arguments: the password, the passes and the memory in KiB. */
#include <argon2.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"

static const char *password;
static char stored[256];

static int check(void)
{
    return argon2id_verify(stored, password, strlen(password)) == ARGON2_OK;
}

int main(int argc, char **argv)
{
    static const char salt[] = "saltsaltsaltsalt";

    if (argc != 4)
        return 2;
    password = argv[1];
    if (argon2id_hash_encoded(atoi(argv[2]), atoi(argv[3]), 1, password, strlen(password), salt, strlen(salt), 32,
                              stored, sizeof stored) != ARGON2_OK)
        return 1;
    return answer_lines(stored, check);
}
