package conformance

import (
	"strings"
	"testing"
)

// TestWildcards checks the matching rules from outside.
//
// v3.1.1 [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-3.3.2-3] v5 [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-3.3.2-3]
func TestWildcards(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		root := name(t, "")
		c := join(t, b, hello{level: level, id: root})
		f := func(filter string, match, differ []string) {
			t.Helper()
			c.subscribe(root+filter, 0)
			for _, topic := range append(differ, match...) {
				c.publish(message{topic: root + topic})
			}
			for _, topic := range match {
				c.expectMessage(message{topic: root + topic})
			}
			c.send(unsubscribe(level, 99, root+filter))
			if p := c.read(); p.first != 0xB0 {
				t.Fatalf("filter %q: got %v after the messages that match", filter, p)
			}
		}
		f("/#", []string{"", "/", "/a", "/a/b", "/$a"}, []string{"x", "x/a"})
		f("/+", []string{"/", "/a", "/$a"}, []string{"", "/a/", "/a/b"})
		f("/+/+", []string{"//", "/a/", "/a/b"}, []string{"/a", "/a/b/c"})
		f("/a/+/c/#", []string{"/a/b/c", "/a//c/d/e"}, []string{"/a/c", "/a/b/d"})
		f("/a", []string{"/a"}, []string{"/A", "/a/", "/a/b"})
	})
}

// TestInvalidFilters: misplaced wildcards and empty filters.
//
// v3.1.1 [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.3-1] v5 [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1]
func TestInvalidFilters(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		for _, filter := range []string{"", "a#", "#/a", "a/#/b", "a/b#", "+a", "a+", "a/+b/c", "##", "++"} {
			for _, request := range [][]byte{subscribe(level, 1, filter, 0), unsubscribe(level, 1, filter)} {
				c := join(t, b, hello{level: level, id: name(t, "")})
				c.send(request)
				expectFilterRefused(c)
			}
		}
	})
}

// expectFilterRefused wants a negative code for the one filter, or the end of the connection for it.
func expectFilterRefused(c *client) {
	c.t.Helper()
	p, err := c.readWithin(patience)
	switch {
	case err != nil:
		if !closedByPeer(err) {
			c.t.Fatal(err)
		}
	case p.first == 0xE0 && c.level == v5 && len(p.body) == 1 && p.body[0] >= 0x80:
		c.expectClose()
	case p.first == 0x90 && p.body[len(p.body)-1] >= 0x80:
	case p.first == 0xB0 && c.level == v5 && p.body[len(p.body)-1] >= 0x80:
	default:
		c.t.Fatalf("got %v, want a refusal", p)
	}
}

// TestDollarTopicsAndLeadingWildcards do not match; a filter that names the $ level does.
//
// v3.1.1 [MQTT-4.7.2-1] v5 [MQTT-4.7.2-1]
func TestDollarTopicsAndLeadingWildcards(t *testing.T) {
	b := special(t, "sys_interval 0")
	eachVersion(t, func(t *testing.T, level int) {
		c := join(t, b, hello{level: level, id: "some-id"})
		exact := join(t, b, hello{level: level, id: "exact"})
		exact.subscribe("$test/#", 0)
		c.send(subscribe(level, 1, "#", 0, "+/a", 0, "+/#", 0))
		c.expectSuback(1, 0, 0, 0)
		c.publish(message{topic: "$test/a", payload: "x"})
		exact.expectMessage(message{topic: "$test/a", payload: "x"})
		c.ping()
	})
}

// TestTopicsAreComparedAsTheyAre: no case folding, no normalisation of Unicode, no trimming, EF BB BF kept.
//
// v3.1.1 [MQTT-4.7.3-4] [MQTT-1.5.3-3] v5 [MQTT-4.7.3-4] [MQTT-1.5.4-3]
func TestTopicsAreComparedAsTheyAre(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		root := name(t, "/")
		c := join(t, b, hello{level: level, id: root})
		topics := []string{"é", "e\u0301", "É", "\uFEFFé", "é ", " é", "é/", "\uFFFD", "\U0001F987"}
		for i, topic := range topics {
			c.subscribe(root+topic, 0)
			for _, other := range topics {
				c.publish(message{topic: root + other, payload: other})
			}
			c.expectMessage(message{topic: root + topic, payload: topic})
			c.send(unsubscribe(level, 200+i, root+topic))
			if p := c.read(); p.first != 0xB0 {
				t.Fatalf("%q matched more than itself: %v", topic, p)
			}
		}
	})
}

// TestLongestTopic: 65,535 bytes are allowed for names and filters.
//
// v3.1.1 [MQTT-4.7.3-3] v5 [MQTT-4.7.3-3]
func TestLongestTopic(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		root := name(t, "/")
		topic := root + strings.Repeat("x", 65535-len(root))
		c := join(t, b, hello{level: level, id: root})
		c.subscribe(topic, 1)
		c.publish(message{topic: topic, payload: "x", qos: 1})
		c.expectMessage(message{topic: topic, payload: "x", qos: 1})
	})
}
