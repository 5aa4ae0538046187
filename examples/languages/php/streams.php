<?php
// The life of a session with nothing but PHP's own streams, the cookie kept by hand.
declare(strict_types=1);

$session = (getenv('SESSION_API') ?: 'http://localhost:8080') . '/api/session';
$cookies = [];

/** Returns status, ETag and the document or problem. A body that is no text is encoded as JSON. */
function call(string $method, string $path = '', mixed $body = null, string $type = 'application/json', string ...$headers): array
{
    global $session, $cookies;
    if ($cookies) {
        $headers[] = 'Cookie: ' . implode('; ', array_map(fn ($name) => "$name=$cookies[$name]", array_keys($cookies)));
    }
    $http = ['method' => $method, 'ignore_errors' => true, 'timeout' => 30];
    if ($body !== null) {
        $headers[] = "Content-Type: $type";
        $http['content'] = is_string($body) ? $body : json_encode($body);
    }
    $text = file_get_contents($session . $path, false, stream_context_create(['http' => $http + ['header' => $headers]]));
    if ($text === false) {
        throw new RuntimeException("no answer to $method");
    }
    $etag = '';
    foreach ($http_response_header as $line) {
        if (preg_match('/^etag:\s*(\S+)/i', $line, $found)) {
            $etag = $found[1];
        }
        if (preg_match('/^set-cookie:\s*([^=]+)=([^;]*)(.*)/i', $line, $found)) {
            [, $name, $value, $attributes] = $found;
            $cookies[$name] = $value;
            if (preg_match('/;\s*max-age=(-\d+|0)\s*(;|$)/i', $attributes)) {
                unset($cookies[$name]);
            }
        }
    }
    return [(int) explode(' ', $http_response_header[0])[1], $etag, $text === '' ? [] : json_decode($text, true)];
}

function say(string $what, mixed ...$rest): void
{
    echo "$what:";
    foreach ($rest as $value) {
        echo ' ', is_array($value) ? json_encode($value) : $value;
    }
    echo "\n";
}

[$status, , $problem] = call('GET');
say('nobody', $status, $problem['code']);

// An empty array is [] in PHP's JSON; here it is the empty object.
[$status] = call('POST', body: []);
say('created empty', $status);
[$status, $etag, $created] = call('POST', body: ['inputs' => ['step' => 1], 'results' => []]);
say('created', $status, $created['inputs']);

[$status, , $read] = call('GET');
say('read', $status, $read['id'] === $created['id'] ? 'the same session' : 'another session');

// Change it only as it was read: the ETag is taken as it came.
[$status, , $replaced] = call('PUT', '', ['inputs' => ['step' => 2]], 'application/json', "If-Match: $etag");
say('replaced', $status, $replaced['inputs']);
[$status, , $problem] = call('PUT', '', ['inputs' => ['step' => 3]], 'application/json', "If-Match: $etag");
say('too late', $status, $problem['code']);

[$status, , $patched] = call('PATCH', '', ['results' => ['files' => ['a.csv']]], 'application/merge-patch+json');
say('patched', $status, $patched['results']);

$operations = [['op' => 'add', 'path' => '/results/files/-', 'value' => 'b.csv']];
[$status, , $appended] = call('POST', '/operations', $operations, 'application/json-patch+json');
say('appended', $status, $appended['results']);

[$status, , $touched] = call('POST', '/touch', ['ttlMs' => 3600000]);
say('touched', $status, $touched['expiresAt'] < $appended['expiresAt'] ? 'sooner' : 'not sooner');

[$status, , $regenerated] = call('POST', '/regenerate');
say('regenerated', $status, $regenerated['id'] !== $created['id'] ? 'another id' : 'the same id');

$refusals = [];
for ($i = 0; $i < 6; $i++) {
    [$status, , $problem] = call('PUT', '', ['inputs' => ['text' => str_repeat('x', 3_000_000)]]);
    $refusals["$status $problem[code]"] = true;
}
say('too large', implode(', ', array_keys($refusals)));

// Every section emptied, as an array that has nothing in it.
[$status, , $emptied] = call('PUT', body: ['inputs' => [], 'apiConfig' => [], 'results' => [], 'meta' => []]);
say('emptied', $status, $emptied['inputs'] ?? 'no inputs');

// Without JSON_BIGINT_AS_STRING a number that does not fit into 64 bits becomes a float.
call('PUT', body: '{"meta": {"big": 12345678901234567890}}');
[$status, , $read] = call('GET');
say('digits', $status, $read['meta']['big']);

[$status] = call('DELETE');
say('signed out', $status, count($cookies), 'cookies');
[$status, , $problem] = call('GET');
say('nobody again', $status, $problem['code']);
