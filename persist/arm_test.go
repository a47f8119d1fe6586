package persist

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// The short tests in a 32-bit process, on whose kind of machine alignment and sizes of int show.
func TestOnARM(t *testing.T) {
	if testing.Short() || runtime.GOARCH == "arm" {
		t.Skip("runs with all tests, on other machines")
	}
	qemu, err := exec.LookPath("qemu-arm-static")
	if err != nil {
		if qemu, err = exec.LookPath("qemu-arm"); err != nil {
			t.Skip("needs qemu-arm-static, of Debian's qemu-user-static")
		}
	}
	binary := filepath.Join(t.TempDir(), "persist.test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Env = append(os.Environ(), "GOARCH=arm", "GOARM=6", "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if out, err := exec.Command(qemu, binary, "-test.short", "-test.timeout=300s").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
