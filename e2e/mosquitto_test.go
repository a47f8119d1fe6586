package e2e

import (
	"bufio"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// tool runs one of Debian's mosquitto-clients; `make deps` installs them.
func tool(t *testing.T, b *broker, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run make deps", name)
	}
	// stdbuf: what mosquitto_sub says must come line by line, also into a pipe.
	line := append([]string{"-oL", path, "-h", "127.0.0.1", "-p", fmt.Sprint(b.port)}, args...)
	return exec.CommandContext(soon(t), "stdbuf", line...)
}

// listen starts mosquitto_sub, which prints count messages and ends, and returns its lines. -d makes it say when it is
// subscribed.
func listen(t *testing.T, b *broker, count int, args ...string) <-chan string {
	t.Helper()
	cmd := tool(t, b, "mosquitto_sub", append([]string{"-d", "-C", fmt.Sprint(count), "-F", "got %t %p %r"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	subscribed := make(chan struct{})
	go func() {
		scan := bufio.NewScanner(out)
		for scan.Scan() {
			if strings.HasPrefix(scan.Text(), "Subscribed ") {
				close(subscribed)
			}
			if got, ok := strings.CutPrefix(scan.Text(), "got "); ok {
				lines <- got
			}
		}
		_ = cmd.Wait()
		close(lines)
	}()
	next(t, subscribed)
	return lines
}

func TestMosquittoClientsEveryVersionAndQoS(t *testing.T) {
	t.Parallel()
	b := start(t)
	for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
		for qos := range 3 {
			q := fmt.Sprint(qos)
			lines := listen(t, b, 1, "-V", version, "-t", "a/#", "-q", q)
			pub := tool(t, b, "mosquitto_pub", "-V", version, "-t", "a/b", "-m", "hi", "-q", q)
			if out, err := pub.CombinedOutput(); err != nil {
				t.Fatalf("%s QoS %s: %v: %s", version, q, err, out)
			}
			if got := next(t, lines); got != "a/b hi 0" {
				t.Errorf("%s QoS %s: got %q", version, q, got)
			}
		}
	}
}

func TestMosquittoSubGetsRetainedOfAWholeHouse(t *testing.T) {
	t.Parallel()
	b := start(t)
	const n = 200
	var input strings.Builder
	for i := range n {
		fmt.Fprintf(&input, "%d\n", i)
	}
	for _, room := range []string{"kitchen", "hall"} {
		pub := tool(t, b, "mosquitto_pub", "-t", "house/"+room, "-l", "-r", "-q", "1")
		pub.Stdin = strings.NewReader(input.String())
		if out, err := pub.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	got := map[string]bool{}
	lines := listen(t, b, 2, "-t", "house/+", "-q", "1")
	for range 2 {
		got[next(t, lines)] = true
	}
	if !got["house/kitchen 199 1"] || !got["house/hall 199 1"] {
		t.Errorf("got %v", got)
	}
}
