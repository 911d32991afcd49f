<?php
// The job of the original script, for PHP-FPM.

function refuse(): never
{
    header('Auth-Status: Invalid login or password');
    exit;
}

function port_of(string $protocol): int
{
    return match ($protocol) {
        'imap' => 143,
        'smtp' => 25,
        default => 110,
    };
}

if (!isset($_SERVER['HTTP_AUTH_USER'], $_SERVER['HTTP_AUTH_PASS'])) {
    refuse();
}
$hosts = ['mailhost01' => '192.168.1.22', 'mailhost02' => '192.168.1.33'];
$near = in_array(substr($_SERVER['HTTP_AUTH_USER'], 0, 1), ['a', 'c', 'f', 'g'], true);
$host = $near ? 'mailhost01' : 'mailhost02';

header('Auth-Status: OK');
header('Auth-Server: ' . ($hosts[$host] ?? $host));
header('Auth-Port: ' . port_of($_SERVER['HTTP_AUTH_PROTOCOL'] ?? ''));
