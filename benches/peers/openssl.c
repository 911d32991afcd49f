/* Checks a password with PBKDF2 of OpenSSL. Arguments: the password, the digest, such as SHA256, and the rounds. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"

static const char *password;
static const EVP_MD *digest;
static int rounds;
static unsigned char key[EVP_MAX_MD_SIZE];

static int derive(unsigned char *out)
{
    static const char salt[] = "saltsalt";

    return PKCS5_PBKDF2_HMAC(password, strlen(password), (const unsigned char *)salt, strlen(salt), rounds, digest,
                             EVP_MD_get_size(digest), out);
}

static int check(void)
{
    unsigned char derived[EVP_MAX_MD_SIZE];

    return derive(derived) && CRYPTO_memcmp(derived, key, EVP_MD_get_size(digest)) == 0;
}

int main(int argc, char **argv)
{
    unsigned char base64[128];
    char stored[256];

    if (argc != 4)
        return 2;
    password = argv[1];
    digest = EVP_get_digestbyname(argv[2]);
    rounds = atoi(argv[3]);
    if (!digest || !derive(key))
        return 1;
    EVP_EncodeBlock(base64, key, EVP_MD_get_size(digest));
    /* The salt in base64, as OpenLDAP stores it. */
    snprintf(stored, sizeof stored, "{PBKDF2-%s}%d$c2FsdHNhbHQ=$%s", argv[2], rounds, base64);
    return answer_lines(stored, check);
}
