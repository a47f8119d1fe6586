package conformance

import (
	"regexp"
	"strings"
	"testing"
)

// TestAssignedClientIdentifier wants `auto-` and a UUID, another for each client, and the session under that name.
//
// v5 [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]
func TestAssignedClientIdentifier(t *testing.T) {
	b := shared(t)
	shape := regexp.MustCompile(`^auto-[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	first := join(t, b, hello{level: v5, props: bin(sessionExpiry, u32(60))})
	second := join(t, b, hello{level: v5})
	one, _ := prop(first.props, assignedClientID)
	two, _ := prop(second.props, assignedClientID)
	if !shape.MatchString(one.text) || !shape.MatchString(two.text) || one.text == two.text {
		t.Fatalf("assigned %q and %q", one.text, two.text)
	}
	first.leave()
	again := join(t, b, hello{level: v5, id: one.text, keep: true})
	if !again.present {
		t.Fatal("the session of the assigned identifier is not found under it")
	}
	if _, has := prop(again.props, assignedClientID); has {
		t.Fatal("an identifier was assigned to a client that has one")
	}
}

// TestV311EmptyClientIdentifierIsAccepted also shows that two such clients do not meet in one session.
//
// v3.1.1 [MQTT-3.1.3-6]
func TestV311EmptyClientIdentifierIsAccepted(t *testing.T) {
	b := shared(t)
	one, two := join(t, b, hello{level: v4}), join(t, b, hello{level: v4})
	one.ping()
	two.ping()
}

// TestEmptyClientIdentifierIsRefused covers the cases in which no identifier is given: 3.1 always, 3.1.1 when the
// session is to be kept.
//
// v3.1.1 [MQTT-3.1.3-8] [MQTT-3.1.3-9] [MQTT-3.2.2-4] [MQTT-3.2.2-5]
func TestEmptyClientIdentifierIsRefused(t *testing.T) {
	b := shared(t)
	f := func(h hello, want string) {
		t.Helper()
		c := dial(t, b)
		c.send(h.bytes())
		c.expectHex(want)
		c.expectClose()
	}
	f(hello{level: v31}, "20 02 00 02")
	f(hello{level: v31, keep: true}, "20 02 00 02")
	f(hello{level: v4, keep: true}, "20 02 00 02")
}

// TestEmptyClientIdentifierNotAllowedByConfiguration sets `allow_zero_length_clientid false`.
//
// v3.1.1 [MQTT-3.1.3-9] v5 [MQTT-3.1.3-8] [MQTT-3.2.2-6] [MQTT-3.2.2-7]
func TestEmptyClientIdentifierNotAllowedByConfiguration(t *testing.T) {
	b := special(t, "allow_zero_length_clientid false")
	f := func(h hello, want string) {
		t.Helper()
		c := dial(t, b)
		c.send(h.bytes())
		c.expectHex(want)
		c.expectClose()
	}
	f(hello{level: v4}, "20 02 00 02")
	f(hello{level: v5}, "20 03 00 80 00")
}

// TestClientIdentifiersOfLettersAndDigits goes through all lengths from 1 to 23.
//
// v3.1.1 [MQTT-3.1.3-5] [MQTT-3.1.3-3] v5 [MQTT-3.1.3-5] [MQTT-3.1.3-3]
func TestClientIdentifiersOfLettersAndDigits(t *testing.T) {
	b := shared(t)
	const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	eachVersion(t, func(t *testing.T, level int) {
		for n := 1; n <= 23; n++ {
			from := (n*7 + level) % (len(letters) - 23)
			join(t, b, hello{level: level, id: letters[from : from+n]}).leave()
		}
	})
}

// TestLongClientIdentifiers are accepted in every version, in 3.1 beyond its own limit of 23.
func TestLongClientIdentifiers(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		join(t, b, hello{level: level, id: name(t, strings.Repeat("x", 1000))}).ping()
	})
}
