package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMQTTjs runs mqttjs/run.js, MQTT.js from npm under Node, for each protocol version.
func TestMQTTjs(t *testing.T) {
	if _, err := os.Stat("mqttjs/node_modules"); err != nil {
		if out, err := exec.Command("npm", "ci", "--prefix", "mqttjs", "--no-audit", "--no-fund").CombinedOutput(); err != nil {
			t.Fatalf("MQTT.js is not installed, run make deps: %v\n%s", err, out)
		}
	}
	b := start(t)
	for _, version := range []string{"3", "4", "5"} {
		t.Run("version "+version, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), "node", "mqttjs/run.js", fmt.Sprint(b.port), version).CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != "ok" {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}
