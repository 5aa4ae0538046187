#!/usr/bin/env perl
# The life of a session with what Perl brings: HTTP::Tiny and JSON::PP, the
# cookie kept by hand.
use strict;
use warnings;
use HTTP::Tiny;
use JSON::PP;

my $session = ($ENV{SESSION_API} || 'http://localhost:8080') . '/api/session';
my $json    = JSON::PP->new->canonical->allow_bignum;
my $http    = HTTP::Tiny->new(timeout => 30);
my %cookies;

# Returns status, ETag and the document or problem. The body is JSON as text.
sub call {
    my ($method, $path, $body, $type, %headers) = @_;
    $headers{Cookie} = join '; ', map { "$_=$cookies{$_}" } sort keys %cookies if %cookies;
    my %options = (headers => \%headers);
    if (defined $body) {
        $headers{'Content-Type'} = $type || 'application/json';
        $options{content} = $body;
    }
    my $answer = $http->request($method, $session . $path, \%options);
    die "no answer: $answer->{content}" if $answer->{status} == 599;
    my $set = $answer->{headers}{'set-cookie'} // [];
    for my $cookie (ref $set ? @$set : $set) {
        my ($name, $value, $attributes) = $cookie =~ /^([^=]+)=([^;]*)(.*)/ or next;
        $cookies{$name} = $value;
        delete $cookies{$name} if $attributes =~ /;\s*max-age=(-\d+|0)\s*(;|$)/i;
    }
    my $text = $answer->{content};
    return ($answer->{status}, $answer->{headers}{etag}, length $text ? $json->decode($text) : {});
}

my ($status, $etag, $answer) = call('GET', '');
print "nobody: $status $answer->{code}\n";

($status, $etag, my $created) = call('POST', '', '{"inputs": {"step": 1}}');
print "created: $status ", $json->encode($created->{inputs}), "\n";

($status, undef, $answer) = call('GET', '');
print "read: $status ", ($answer->{id} eq $created->{id} ? 'the same session' : 'another session'), "\n";

# Change it only as it was read: the ETag is taken as it came.
($status, undef, $answer) = call('PUT', '', '{"inputs": {"step": 2}}', undef, 'If-Match' => $etag);
print "replaced: $status ", $json->encode($answer->{inputs}), "\n";
($status, undef, $answer) = call('PUT', '', '{"inputs": {"step": 3}}', undef, 'If-Match' => $etag);
print "too late: $status $answer->{code}\n";

($status, undef, $answer) = call('PATCH', '', '{"results": {"files": ["a.csv"]}}', 'application/merge-patch+json');
print "patched: $status ", $json->encode($answer->{results}), "\n";

($status, undef, my $appended) = call('POST', '/operations',
    '[{"op": "add", "path": "/results/files/-", "value": "b.csv"}]', 'application/json-patch+json');
print "appended: $status ", $json->encode($appended->{results}), "\n";

($status, undef, $answer) = call('POST', '/touch', '{"ttlMs": 3600000}');
print "touched: $status ", ($answer->{expiresAt} lt $appended->{expiresAt} ? 'sooner' : 'not sooner'), "\n";

($status, undef, $answer) = call('POST', '/regenerate');
print "regenerated: $status ", ($answer->{id} ne $created->{id} ? 'another id' : 'the same id'), "\n";

my %refusals;
for (1 .. 6) {
    ($status, undef, $answer) = call('PUT', '', '{"inputs": {"text": "' . 'x' x 3_000_000 . '"}}');
    $refusals{"$status $answer->{code}"} = 1;
}
print 'too large: ', join(', ', sort keys %refusals), "\n";

# Without allow_bignum a number that does not fit into 64 bits becomes a float.
call('PUT', '', '{"meta": {"big": 12345678901234567890}}');
($status, undef, $answer) = call('GET', '');
print "digits: $status $answer->{meta}{big}\n";

($status) = call('DELETE', '');
print "signed out: $status ", scalar keys %cookies, " cookies\n";
($status, undef, $answer) = call('GET', '');
print "nobody again: $status $answer->{code}\n";
