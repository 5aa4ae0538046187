<?php
// The life of a session with the curl extension, whose handle keeps the cookie.
declare(strict_types=1);

$session = (getenv('SESSION_API') ?: 'http://localhost:8080') . '/api/session';
$curl = curl_init();
$etag = '';
curl_setopt_array($curl, [
    CURLOPT_COOKIEFILE => '', // keeps cookies, in memory
    CURLOPT_RETURNTRANSFER => true,
    CURLOPT_TIMEOUT => 30,
    CURLOPT_HEADERFUNCTION => function ($curl, string $line) use (&$etag): int {
        if (preg_match('/^etag:\s*(\S+)/i', $line, $found)) {
            $etag = $found[1];
        }
        return strlen($line);
    },
]);

/** Returns status and the document or problem. A body that is no text is encoded as JSON. */
function call(string $method, string $path = '', mixed $body = null, string $type = 'application/json', string ...$headers): array
{
    global $curl, $session;
    $headers[] = 'Expect:'; // else curl asks before it sends a large body
    curl_setopt_array($curl, [CURLOPT_URL => $session . $path, CURLOPT_POSTFIELDS => null]);
    if ($body !== null) {
        $headers[] = "Content-Type: $type";
        curl_setopt($curl, CURLOPT_POSTFIELDS, is_string($body) ? $body : json_encode($body));
    } else {
        curl_setopt($curl, CURLOPT_HTTPGET, true);
    }
    curl_setopt_array($curl, [CURLOPT_CUSTOMREQUEST => $method, CURLOPT_HTTPHEADER => $headers]);
    $text = curl_exec($curl);
    if ($text === false) {
        throw new RuntimeException(curl_error($curl));
    }
    return [curl_getinfo($curl, CURLINFO_RESPONSE_CODE), $text === '' ? [] : json_decode($text, true, flags: JSON_BIGINT_AS_STRING)];
}

function say(string $what, mixed ...$rest): void
{
    echo "$what:";
    foreach ($rest as $value) {
        echo ' ', is_array($value) ? json_encode($value) : $value;
    }
    echo "\n";
}

[$status, $problem] = call('GET');
say('nobody', $status, $problem['code']);

// An empty array is [] in PHP's JSON; here it is the empty object.
[$status, $created] = call('POST', body: []);
say('created empty', $status);
[$status, $created] = call('POST', body: ['inputs' => ['step' => 1], 'results' => []]);
say('created', $status, $created['inputs']);
$read_etag = $etag;

[$status, $read] = call('GET');
say('read', $status, $read['id'] === $created['id'] ? 'the same session' : 'another session');

// Change it only as it was read: the ETag is taken as it came.
[$status, $replaced] = call('PUT', '', ['inputs' => ['step' => 2]], 'application/json', "If-Match: $read_etag");
say('replaced', $status, $replaced['inputs']);
[$status, $problem] = call('PUT', '', ['inputs' => ['step' => 3]], 'application/json', "If-Match: $read_etag");
say('too late', $status, $problem['code']);

[$status, $patched] = call('PATCH', '', ['results' => ['files' => ['a.csv']]], 'application/merge-patch+json');
say('patched', $status, $patched['results']);

$operations = [['op' => 'add', 'path' => '/results/files/-', 'value' => 'b.csv']];
[$status, $appended] = call('POST', '/operations', $operations, 'application/json-patch+json');
say('appended', $status, $appended['results']);

[$status, $touched] = call('POST', '/touch', ['ttlMs' => 3600000]);
say('touched', $status, $touched['expiresAt'] < $appended['expiresAt'] ? 'sooner' : 'not sooner');

[$status, $regenerated] = call('POST', '/regenerate');
say('regenerated', $status, $regenerated['id'] !== $created['id'] ? 'another id' : 'the same id');

$refusals = [];
for ($i = 0; $i < 6; $i++) {
    [$status, $problem] = call('PUT', '', ['inputs' => ['text' => str_repeat('x', 3_000_000)]]);
    $refusals["$status $problem[code]"] = true;
}
say('too large', implode(', ', array_keys($refusals)));

// Every section emptied, as an array that has nothing in it.
[$status, $emptied] = call('PUT', body: ['inputs' => [], 'apiConfig' => [], 'results' => [], 'meta' => []]);
say('emptied', $status, $emptied['inputs'] ?? 'no inputs');

call('PUT', body: '{"meta": {"big": 12345678901234567890}}');
[$status, $read] = call('GET');
say('digits', $status, $read['meta']['big']);

[$status] = call('DELETE');
say('signed out', $status);
[$status, $problem] = call('GET');
say('nobody again', $status, $problem['code']);
