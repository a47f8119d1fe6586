package transport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
)

// Files is what is served of http_dir: whole answers by path, read at start, because a loop must not wait for a disk.
type Files struct {
	answers map[string]answer
	bytes   int
}

// answer is the status line and headers of a file, and the file.
type answer struct{ head, body string }

// LoadFiles reads a directory and those below it. left names files that are not served: what does not fit into 64 MiB of memory
// with those before it, or into 4,096 files, and what cannot be read. An error is about the directory as a whole. Links are followed inside the
// directory only.
func LoadFiles(dir string) (files *Files, left []string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("read http_dir: %w", err)
	}
	defer root.Close()
	f := &Files{answers: map[string]answer{}}
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && name == ".":
			return err
		case err != nil || !entry.IsDir() && !f.load(root, name):
			left = append(left, name)
		case entry.IsDir() && name != ".":
			path := (&url.URL{Path: "/" + name + "/"}).EscapedPath()
			f.answers["/"+name] = answer{head: "HTTP/1.1 302 Found\r\nLocation: " + path + "\r\nContent-Length: 0\r\n\r\n"}
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read http_dir: %w", err)
	}
	return f, left, nil
}

// load reads a file, if it may be served.
func (f *Files) load(root *os.Root, name string) bool {
	info, err := root.Stat(name)
	if err != nil || !info.Mode().IsRegular() || f.bytes+int(min(info.Size(), filesMax+1)) > filesMax || len(f.answers) >= fileCount {
		return false
	}
	body, err := root.ReadFile(name)
	if err != nil || f.bytes+len(body) > filesMax {
		return false
	}
	f.bytes += len(body)
	f.add(name, string(body))
	return true
}

// add takes a file. Each directory's index.html is the directory too.
func (f *Files) add(name, body string) {
	kind := mime.TypeByExtension(path.Ext(name))
	if kind == "" {
		kind = http.DetectContentType([]byte(body))
	}
	head := "HTTP/1.1 200 OK\r\nServer: noctule\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
	a := answer{fmt.Sprintf(head, kind, len(body)), body}
	f.answers["/"+name] = a
	if dir, is := strings.CutSuffix("/"+name, "/index.html"); is {
		f.answers[dir+"/"] = a
	}
}

var (
	errMethod    = errors.New("HTTP request that is neither for a WebSocket nor for a file")
	errPipelined = errors.New("HTTP requests that do not wait for their answers")
)

const (
	answerNotFound   = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
	answerNotAllowed = "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

// serve answers a whole request if it is not for a WebSocket; body is what is to be sent behind newDown. The connection stays, for
// more requests or a WebSocket, until the time limit for CONNECT; it ends with io.EOF where the client says so and the answer is
// small.
func (f *Files) serve(down, request []byte) (newDown []byte, body string, served bool, err error) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	if err != nil || namesWebSocket(r.Header) {
		return down, "", false, nil
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.ContentLength != 0 {
		return append(down, answerNotAllowed...), "", true, errMethod
	}
	a, ok := f.answers[r.URL.Path]
	if !ok {
		a.head = answerNotFound
	}
	if r.Method == http.MethodHead {
		a.body = ""
	}
	if down = append(down, a.head...); len(down)+len(a.body) > pourBytes {
		return down, a.body, true, nil
	}
	if r.Close {
		err = io.EOF // it wants this answer and no more (RFC 9112, section 9.6)
	}
	return append(down, a.body...), "", true, err
}

// namesWebSocket is whether a request is for a WebSocket. It may offer other protocols, as h2c, and be content without.
func namesWebSocket(h http.Header) bool {
	return slices.ContainsFunc(h["Upgrade"], func(list string) bool { return strings.Contains(strings.ToLower(list), "websocket") })
}
