package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// browse opens mqttjs/page.html in Chromium without a screen, for the broker at an address, and waits for its report.
func browse(t *testing.T, broker string) {
	t.Helper()
	needMQTTjs(t)
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("Chromium is not installed, run make deps: %v", err)
	}
	reports := make(chan string, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /page.html", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "mqttjs/page.html") })
	mux.HandleFunc("GET /mqtt.min.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "mqttjs/node_modules/mqtt/dist/mqtt.min.js")
	})
	mux.HandleFunc("POST /report", func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		select {
		case reports <- string(text):
		default:
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--ignore-certificate-errors", "--user-data-dir="+t.TempDir(), "--remote-debugging-port=0", server.URL+"/page.html#"+url.QueryEscape(broker))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() { // Chromium and its helpers, which hold the pipes that Wait reads
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}
	select {
	case text := <-reports:
		if stop(); text != "ok" {
			t.Fatal(text)
		}
	case <-time.After(3 * patience):
		stop()
		t.Fatalf("no report from the page; Chromium: %s", said.String())
	}
}

// TestBrowser runs as root in most containers, where Chromium's own sandbox cannot work.
func TestBrowser(t *testing.T) {
	t.Run("ws", func(t *testing.T) {
		browse(t, fmt.Sprintf("ws://127.0.0.1:%d/mqtt", start(t, "protocol websockets").port))
	})
	t.Run("wss", func(t *testing.T) {
		browse(t, fmt.Sprintf("wss://127.0.0.1:%d/mqtt", start(t, newFront(t).lines("protocol websockets")...).port))
	})
}
