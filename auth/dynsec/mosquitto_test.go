package dynsec

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// mosquitto is a running broker of Debian's, with its plugin on one file and the user admin.
type mosquitto struct {
	t    *testing.T
	port int
	cmd  *exec.Cmd
}

const adminPassword = "a long password"

// debian skips the test where Debian's mosquitto and its plugin are not installed, and returns the plugin's path.
func debian(t *testing.T) (plugin string) {
	t.Helper()
	for _, name := range []string{"mosquitto", "mosquitto_ctrl"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed: apt-get install mosquitto to compare with it", name)
		}
	}
	found, _ := filepath.Glob("/usr/lib/*/mosquitto_dynamic_security.so")
	if len(found) == 0 {
		t.Skip("mosquitto_dynamic_security.so is not installed: apt-get install mosquitto to compare with it")
	}
	return found[0]
}

// startMosquitto runs the broker on a configuration file that exists.
func startMosquitto(t *testing.T, file string) *mosquitto {
	t.Helper()
	plugin := debian(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := fmt.Sprintf("listener %d 127.0.0.1\nuser root\nallow_anonymous true\nplugin %s\nplugin_opt_config_file %s\n",
		port, plugin, file)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &mosquitto{t: t, port: port, cmd: exec.Command("mosquitto", "-v", "-c", conf)}
	stderr, err := m.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.stop)
	running := make(chan struct{})
	go func() {
		scan := bufio.NewScanner(stderr)
		for scan.Scan() {
			if bytes.HasSuffix(scan.Bytes(), []byte(" running")) {
				close(running)
			}
		}
	}()
	select {
	case <-running:
	case <-time.After(20 * time.Second):
		t.Fatal("mosquitto does not start")
	}
	return m
}

func (m *mosquitto) stop() {
	_ = m.cmd.Process.Signal(os.Interrupt)
	_ = m.cmd.Wait()
}

// mqttClient is as much of an MQTT 5 client as the tests need.
type mqttClient struct {
	conn net.Conn
	in   *bufio.Reader
}

// connect returns the client and the reason code of the CONNACK.
func (m *mosquitto) connect(id, user, password string) (*mqttClient, byte) {
	m.t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", m.port))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	c := &mqttClient{conn: conn, in: bufio.NewReader(conn)}
	flags := byte(0x02)
	body := appendText(nil, id)
	if user != "" {
		flags |= 0xC0
		body = appendText(appendText(body, user), password)
	}
	c.send(0x10, append([]byte{0, 4, 'M', 'Q', 'T', 'T', 5, flags, 0, 60, 0}, body...))
	kind, ack, err := c.receive()
	if err != nil || kind != 0x20 {
		m.t.Fatalf("packet %#x for CONNACK: %v", kind, err)
	}
	return c, ack[1]
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func (c *mqttClient) send(kind byte, body []byte) {
	b := binary.AppendUvarint([]byte{kind}, uint64(len(body)))
	_, _ = c.conn.Write(append(b, body...))
}

func (c *mqttClient) receive() (kind byte, body []byte, err error) {
	if kind, err = c.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(c.in)
	if err != nil {
		return 0, nil, err
	}
	body = make([]byte, n)
	_, err = io.ReadFull(c.in, body)
	return kind, body, err
}

// answer waits for a packet of a kind and returns its last byte: the reason code of an acknowledgement.
func (c *mqttClient) answer(kind byte) (byte, error) {
	for {
		got, body, err := c.receive()
		switch {
		case err != nil:
			return 0, err
		case got == 0xE0:
			return 0, fmt.Errorf("disconnected with %#x", body)
		case got == kind && kind == 0x40 && len(body) == 2:
			return 0, nil
		case got == kind:
			return body[len(body)-1], nil
		}
	}
}

func (c *mqttClient) subscribe(filter string) (byte, error) {
	c.send(0x82, append(appendText([]byte{0, 1, 0}, filter), 0))
	return c.answer(0x90)
}

func (c *mqttClient) unsubscribe(filter string) (byte, error) {
	c.send(0xA2, appendText([]byte{0, 1, 0}, filter))
	return c.answer(0xB0)
}

func (c *mqttClient) publish(topic string) (byte, error) {
	c.send(0x32, append(appendText(nil, topic), 0, 1, 0, 'x'))
	return c.answer(0x40)
}

// admin connects as the administrator.
func (m *mosquitto) admin() *mqttClient {
	m.t.Helper()
	c, code := m.connect("admin-id", "admin", adminPassword)
	if code != 0 {
		m.t.Fatalf("the administrator is refused: %#x", code)
	}
	if code, err := c.subscribe("$CONTROL/dynamic-security/v1/response"); err != nil || code != 0 {
		m.t.Fatalf("subscribe: %#x, %v", code, err)
	}
	return c
}

// control sends one control message and returns the response.
func (c *mqttClient) control(payload string) (string, error) {
	c.send(0x30, append(append(appendText(nil, "$CONTROL/dynamic-security/v1"), 0), payload...))
	for {
		kind, body, err := c.receive()
		switch {
		case err != nil:
			return "", err
		case kind == 0xE0:
			return "", errors.New("disconnected")
		case kind == 0x30:
			n := int(binary.BigEndian.Uint16(body))
			return string(body[2+n+1:]), nil
		}
	}
}
