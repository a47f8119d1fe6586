package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// admin is a broker with dynamic security, and the tool that drives it.
type admin struct {
	*broker
	t    *testing.T
	file string
}

// startDynsec makes the configuration as `mosquitto_ctrl dynsec init` does, and starts a broker on it.
func startDynsec(t *testing.T) *admin {
	t.Helper()
	file := filepath.Join(t.TempDir(), "dynamic-security.json")
	if out, err := exec.Command("mosquitto_ctrl", "dynsec", "init", file, "admin", "secret").CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_ctrl dynsec init: %v\n%s", err, out)
	}
	return &admin{t: t, file: file, broker: start(t, dynsecLines(file)...)}
}

func dynsecLines(file string) []string {
	return []string{"allow_anonymous false", "plugin /usr/lib/mosquitto_dynamic_security.so", "plugin_opt_config_file " + file}
}

// try runs one command of mosquitto_ctrl dynsec.
func (a *admin) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(a.t.Context(), patience)
	defer cancel()
	args = append([]string{"-h", "127.0.0.1", "-p", fmt.Sprint(a.port), "-u", "admin", "-P", "secret", "dynsec"}, args...)
	out, err := exec.CommandContext(ctx, "mosquitto_ctrl", args...).CombinedOutput()
	return string(out), err
}

// do is try, and expects no complaint.
func (a *admin) do(args ...string) string {
	a.t.Helper()
	out, err := a.try(args...)
	if err != nil || strings.Contains(out, "Error") {
		a.t.Fatalf("mosquitto_ctrl dynsec %q: %v\n%s", args, err, out)
	}
	return out
}

// reaches reports whether a message of one user arrives at another.
func (a *admin) reaches(from, to, topic string) bool {
	a.t.Helper()
	// The receiver gets a message of its own behind the other, so that nothing has to be waited for in vain.
	lines := listen(a.t, a.broker, 1000, "-u", to, "-P", "pw", "-i", "sub-"+to, "-t", topic, "-t", "end/"+to, "-V", "mqttv5", "-q", "1")
	for _, args := range [][]string{{"-u", from, "-t", topic, "-m", "message"}, {"-u", to, "-t", "end/" + to, "-m", "end"}} {
		pub := tool(a.t, a.broker, "mosquitto_pub", append([]string{"-P", "pw", "-q", "1", "-V", "mqttv5"}, args...)...)
		_ = pub.Run() // a refusal is one of the answers
	}
	line := next(a.t, lines)
	if line == topic+" message 0" {
		return true
	}
	if line != "end/"+to+" end 0" {
		a.t.Fatalf("%s got %q", to, line)
	}
	return false
}

// TestDynamicSecurity drives a broker with mosquitto_ctrl and observes the effect with mosquitto_pub and mosquitto_sub.
func TestDynamicSecurity(t *testing.T) {
	a := startDynsec(t)
	for _, user := range []string{"alice", "bob"} {
		a.do("createClient", user, "-p", "pw")
	}
	a.do("createRole", "talker")
	a.do("createRole", "own")
	a.do("createGroup", "everyone")
	for _, kind := range []string{"publishClientSend", "publishClientReceive", "subscribePattern"} {
		a.do("addRoleACL", "own", kind, "end/#", "allow", "1")
	}
	a.do("addGroupRole", "everyone", "own", "1")
	a.do("addGroupClient", "everyone", "alice", "1")
	a.do("addGroupClient", "everyone", "bob", "1")
	a.do("setDefaultACLAccess", "publishClientSend", "deny")
	a.do("setDefaultACLAccess", "publishClientReceive", "deny")
	a.do("setDefaultACLAccess", "subscribe", "deny")
	if a.reaches("alice", "bob", "room/light") {
		t.Error("a message passed before any role allowed it")
	}
	a.do("addRoleACL", "talker", "publishClientSend", "room/#", "allow", "1")
	a.do("addRoleACL", "talker", "publishClientReceive", "room/#", "allow", "1")
	a.do("addRoleACL", "talker", "subscribePattern", "room/#", "allow", "1")
	a.do("addClientRole", "alice", "talker", "1")
	a.do("addClientRole", "bob", "talker", "1")
	if !a.reaches("alice", "bob", "room/light") {
		t.Error("a message did not pass although the roles allow it")
	}
	a.do("addRoleACL", "talker", "publishClientSend", "room/secret", "deny", "9")
	if a.reaches("alice", "bob", "room/secret") {
		t.Error("a message passed a denial of higher priority")
	}
	a.do("removeRoleACL", "talker", "publishClientSend", "room/secret")
	if !a.reaches("alice", "bob", "room/secret") {
		t.Error("a message did not pass after its denial was removed")
	}
	if out := a.do("getClient", "alice"); !strings.Contains(out, "talker") || !strings.Contains(out, "everyone") {
		t.Errorf("getClient: %s", out)
	}
	for _, list := range []struct{ command, want string }{{"listClients", "alice"}, {"listGroups", "everyone"}, {"listRoles", "talker"}} {
		if out := a.do(list.command); !strings.Contains(out, list.want) {
			t.Errorf("%s: %s", list.command, out)
		}
	}
	held := joinRaw(t, a.broker, "held", "alice", "pw")
	a.do("disableClient", "alice")
	if _, _, err := held.packet(); err == nil {
		t.Error("a client that was disabled stayed connected")
	}
	refused, err := dialRaw(a.broker)
	if err != nil {
		t.Fatal(err)
	}
	defer refused.conn.Close()
	if _, err := refused.conn.Write(connectBytes("held", "alice", "pw")); err != nil {
		t.Fatal(err)
	}
	if err := refused.want(0x20, 5); err != nil {
		t.Errorf("a disabled client: %v", err)
	}
	a.do("enableClient", "alice")
	joinRaw(t, a.broker, "again", "alice", "pw").conn.Close()
	a.do("deleteRole", "talker")
	a.do("deleteGroup", "everyone")
	a.do("deleteClient", "bob")
	if out, _ := a.try("getClient", "bob"); !strings.Contains(out, "Error") {
		t.Errorf("getClient of a deleted client: %s", out)
	}
}

// TestDynamicSecuritySurvivesKill kills the broker in the middle of changes: the file is whole, and every change that was
// answered is in it.
func TestDynamicSecuritySurvivesKill(t *testing.T) {
	a := startDynsec(t)
	for round := range 5 {
		answered := 0
		c := joinRaw(t, a.broker, "admin", "admin", "secret")
		if _, err := c.conn.Write(subscribeBytes(0, "$CONTROL/dynamic-security/v1/response")); err != nil {
			t.Fatal(err)
		}
		if err := c.want(0x90, 0); err != nil {
			t.Fatal(err)
		}
		killed := make(chan struct{})
		time.AfterFunc(time.Duration(20+13*round)*time.Millisecond, func() { // anywhere in the changes below
			_ = a.stop(syscall.SIGKILL)
			close(killed)
		})
		for {
			command := fmt.Sprintf(`{"commands":[{"command":"createClient","username":"c%d-%d","password":"pw"}]}`, round, answered)
			if _, err := c.conn.Write(publishBytes(0, "$CONTROL/dynamic-security/v1", 0, []byte(command))); err != nil {
				break
			}
			first, body, err := c.packet()
			if err != nil {
				break
			}
			if first != 0x30 || strings.Contains(string(body), "error") {
				t.Fatalf("%s: %02X %s", command, first, body)
			}
			answered++
		}
		<-killed
		text, err := os.ReadFile(a.file)
		if err != nil {
			t.Fatal(err)
		}
		var whole struct {
			Clients []struct {
				UserName string `json:"username"`
			} `json:"clients"`
		}
		if err := json.Unmarshal(text, &whole); err != nil {
			t.Fatalf("round %d: the file is not whole: %v", round, err)
		}
		have := map[string]bool{}
		for _, c := range whole.Clients {
			have[c.UserName] = true
		}
		t.Logf("round %d: killed after %d changes", round, answered)
		for i := range answered {
			if name := fmt.Sprintf("c%d-%d", round, i); !have[name] {
				t.Errorf("round %d: %s was answered and is not in the file", round, name)
			}
		}
		a.broker = start(t, dynsecLines(a.file)...)
	}
	a.do("listClients")
}
