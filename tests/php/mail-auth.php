<?php
// The rules that examples/php-script.toml has, as a script for php-cgi and PHP-FPM:
// tests and benchmarks run it beside the program.

const PORTS = ['imap' => 143, 'smtp' => 25];
const ADDRESSES = ['mailhost01' => '192.168.1.22', 'mailhost02' => '192.168.1.33'];

function refuse(): never
{
    header('Auth-Status: Invalid login or password');
    exit;
}

// The mail server checks the password once more, so that everybody may pass here.
function authentic(string $login, string $password): bool
{
    return true;
}

function host_of(string $login): string
{
    return $login !== '' && strpos('acfg', $login[0]) !== false ? 'mailhost01' : 'mailhost02';
}

$login = $_SERVER['HTTP_AUTH_USER'] ?? null;
$password = $_SERVER['HTTP_AUTH_PASS'] ?? null;
if ($login === null || $password === null || !authentic($login, $password)) {
    refuse();
}
$host = host_of($login);
header('Auth-Status: OK');
header('Auth-Server: ' . (ADDRESSES[$host] ?? $host));
header('Auth-Port: ' . (PORTS[$_SERVER['HTTP_AUTH_PROTOCOL'] ?? ''] ?? 110));
