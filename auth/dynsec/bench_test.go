package dynsec

import (
	"fmt"
	"testing"

	"github.com/noctulemq/noctule/auth"
)

// large is a configuration of n clients with a password, a role and a group each.
func large(b *testing.B, n int) *Plugin {
	p := open(b, Options{})
	do(b, p, `createRole "rolename":"r","acls":[{"acltype":"publishClientSend","topic":"devices/%u/#","allow":true}]`,
		`createGroup "groupname":"g","roles":[{"rolename":"r"}]`)
	s := *p.now.Load()
	secret := newPassword("p")
	for i := range n {
		s.clients = put(s.clients, &client{username: fmt.Sprintf("device-%06d", i), password: secret,
			roles: refs{{name: "r", priority: -1}}, groups: refs{{name: "g", priority: -1}}})
	}
	p.now.Store(&s)
	return p
}

func BenchmarkChange(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		for name, durable := range map[string]bool{"memory": false, "saved": true} {
			b.Run(fmt.Sprintf("clients=%d/%s", n, name), func(b *testing.B) {
				p := large(b, n)
				if !durable {
					p.save = func(*snapshot) error { return nil }
				}
				b.ReportAllocs()
				for b.Loop() {
					_ = do(b, p, `disableClient "username":"device-000500"`)
				}
			})
		}
	}
}

func BenchmarkAllows(b *testing.B) {
	p := large(b, 100_000)
	r := p.Rights(user("id", "device-000500", ""))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = r.Allows(auth.Publish, "devices/device-000500/temperature")
	}
}

// BenchmarkResolve is what the first decision after a change costs.
func BenchmarkResolve(b *testing.B) {
	p := large(b, 100_000)
	r := p.Rights(user("id", "device-000500", "")).(*rights)
	b.ReportAllocs()
	for b.Loop() {
		r.resolve(p.now.Load())
	}
}

func BenchmarkOpen(b *testing.B) {
	p := large(b, 100_000)
	data := encodeFile(p.now.Load())
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, _, err := decodeFile(data); err != nil {
			b.Fatal(err)
		}
	}
}
