package dynsec

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/noctulemq/noctule/auth"
)

// FuzzHandle sends any message to a configuration that has something of everything. Whatever it says, the response is
// JSON, and what would be written can be read and is then written alike.
func FuzzHandle(f *testing.F) {
	f.Add([]byte(listAll[0]))
	f.Add([]byte(`{"commands":[{"command":"deleteRole","rolename":"r1"},{"command":"deleteGroup","groupname":"g1"}]}`))
	f.Add([]byte(`{"commands":[{"command":"modifyGroup","groupname":"g1","clients":[{"username":"c3","priority":2}]}]}`))
	f.Add([]byte(`{"commands":[{"command":"addRoleACL","rolename":"r3","acltype":"subscribePattern","topic":"%u/+","priority":1}]}`))
	base := memoryPlugin(f, Options{})
	do(f, base, elaborate...)
	start := base.now.Load()
	f.Fuzz(func(t *testing.T, payload []byte) {
		p := &Plugin{options: Options{Kick: func(match func(*auth.Client) bool) { match(user("id1", "c1", "")) }}}
		p.now.Store(start)
		p.save = func(s *snapshot) error {
			data := encodeFile(s)
			back, skipped, err := decodeFile(data)
			if err != nil || len(skipped) > 0 {
				t.Fatalf("%v, %q: %s", err, skipped, data)
			}
			if again := encodeFile(back); !bytes.Equal(again, data) {
				t.Fatalf("written:\n%s\nread and written again:\n%s", data, again)
			}
			return nil
		}
		before := encodeFile(start)
		if response := p.Handle(administrator, payload); !json.Valid(response) {
			t.Fatalf("%s", response)
		}
		if !bytes.Equal(encodeFile(start), before) {
			t.Fatal("a published snapshot changed")
		}
		r := p.Rights(user("id1", "c1", ""))
		for a := range auth.Action(eventCount) {
			_, _ = r.Allows(a, "a/id1")
		}
	})
}

// FuzzFile reads any file. What is read is written in a form that is read the same.
func FuzzFile(f *testing.F) {
	p := memoryPlugin(f, Options{})
	do(f, p, elaborate...)
	f.Add(encodeFile(p.now.Load()))
	f.Add([]byte(`{"clients":[{"username":"a"},{"username":"a"}],"groups":[{"groupname":"g","clients":[{"username":"a"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, _, err := decodeFile(data)
		if err != nil {
			return
		}
		written := encodeFile(s)
		back, skipped, err := decodeFile(written)
		if err != nil || len(skipped) > 0 {
			t.Fatalf("%v, %q: %s", err, skipped, written)
		}
		if again := encodeFile(back); !bytes.Equal(again, written) {
			t.Fatalf("written:\n%s\nread and written again:\n%s", written, again)
		}
	})
}

// FuzzMatch holds the matcher to the broker's rules for topics: a filter covers itself, and # everything but $ topics.
func FuzzMatch(f *testing.F) {
	f.Add("a/+/#", "a/b/c")
	f.Add("%c/%u", "id/u")
	f.Fuzz(func(t *testing.T, filter, topic string) {
		w := newWho("id", "u")
		_ = w.matchesTopic(filter, topic)
		_ = w.matchesFilter(filter, topic)
		if topic != "" && !w.matchesFilter("#", topic) {
			t.Errorf("# does not cover %q", topic)
		}
		if topic != "" && w.matchesTopic("#", topic) == (topic[0] == '$') {
			t.Errorf("# and %q", topic)
		}
	})
}
