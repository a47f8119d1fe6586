package transport

import (
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// site is a directory with some files.
func site(t *testing.T) string {
	t.Helper()
	outside := filepath.Join(t.TempDir(), "outside")
	dir := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "a b/c"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(outside, "secret")
	write(filepath.Join(dir, "index.html"), "<p>home")
	write(filepath.Join(dir, "page.css"), "x{}")
	write(filepath.Join(dir, "a b/index.html"), "<p>below")
	write(filepath.Join(dir, "a b/c/large"), strings.Repeat("large ", 100_000))
	write(filepath.Join(dir, "z"), "")
	if err := os.Truncate(filepath.Join(dir, "z"), filesMax-600_000); err != nil { // too much, with those before it
		t.Fatal(err)
	}
	for name, target := range map[string]string{"inside": "page.css", "outside": outside, "up": "../../outside", "dir": "a b"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFilesAreServed(t *testing.T) {
	files, left, err := LoadFiles(site(t))
	if slices.Sort(left); err != nil || !slices.Equal(left, []string{"dir", "outside", "up", "z"}) {
		t.Fatal(left, err)
	}
	settings := &WebSocketSettings{Files: files}
	serve := func(input string) seen {
		t.Helper()
		peer := &Peer{}
		w := NewWebSocket(settings, peer, netip.AddrPort{})
		whole := take(w, peer, []byte(input))
		peer = &Peer{}
		if got := take(NewWebSocket(settings, peer, netip.AddrPort{}), peer, []byte(input[:9]), []byte(input[9:])); got != whole {
			t.Fatalf("%q: %v\nin two pieces: %v", input, whole, got)
		}
		return whole
	}
	f := func(input, down, err string) {
		t.Helper()
		if got := serve(input); got.down != down || got.err != err || got.up != "" {
			t.Fatalf("%q: %v", input, got)
		}
	}
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: broker\r\n\r\n" }
	answer := func(kind, size, body string) string {
		return "HTTP/1.1 200 OK\r\nServer: noctule\r\nContent-Type: " + kind + "; charset=utf-8\r\nContent-Length: " + size + "\r\n\r\n" + body
	}
	home := answer("text/html", "7", "<p>home")

	f(get("/"), home, "")
	f(get("/index.html?x=y"), home, "")
	f(get("/page.css"), answer("text/css", "3", "x{}"), "")
	f(get("/inside"), answer("text/plain", "3", "x{}"), "")
	f(get("/a%20b/"), answer("text/html", "8", "<p>below"), "")
	f(get("/a%20b"), "HTTP/1.1 302 Found\r\nLocation: /a%20b/\r\nContent-Length: 0\r\n\r\n", "")
	for _, path := range []string{"/outside", "/up", "/../outside", "/%2e%2e/outside", "/z", "/dir/", "/none", "/a%20b/c/"} {
		f(get(path), answerNotFound, "")
	}
	f(strings.Replace(get("/"), "GET", "HEAD", 1), answer("text/html", "7", ""), "")
	f(get("/")+get("/none")+request(asked)+masked(ws.OpPing, true, ""), home+answerNotFound+answered+"\x8a\x00", "")
	f(strings.Replace(get("/"), "GET", "POST", 1), answerNotAllowed, errMethod.Error())
	ended := io.EOF.Error()
	f(strings.Replace(get("/"), "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1), home, ended)
	f("GET / HTTP/1.0\r\n\r\n", home, ended)
	f("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", home, "")
	f(strings.Replace(get("/"), "\r\n\r\n", "\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 1), home, "")
	f("GET / HTTP/1.1\r\nHost: broker\r\nContent-Length: 3\r\n\r\nabc", answerNotAllowed, errMethod.Error())
	large := get("/a%20b/c/large")
	f(large, answer("text/plain", "600000", strings.Repeat("large ", 100_000)), "")
	for _, next := range []string{get("/"), request(asked)} {
		if got := serve(large + next); got.err != errPipelined.Error() {
			t.Fatal(got.err)
		}
	}
}

func TestFilesOfADirectoryThatIsNotThere(t *testing.T) {
	if _, _, err := LoadFiles(filepath.Join(t.TempDir(), "none")); err == nil || !strings.HasPrefix(err.Error(), "read http_dir: ") {
		t.Fatal(err)
	}
}
