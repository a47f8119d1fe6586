package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// flags is the command line as given.
type flags struct {
	configFile string
	ports      []uint16
	keyLog     string
	daemon     bool
	help       bool
	quiet      bool
	testConfig bool
	verbose    bool
	version    bool
	local      bool // set by applyFlags: local only mode
}

// flagError is a mistake on the command line, in Mosquitto's own sentence.
type flagError string

func (e flagError) Error() string { return string(e) }

func flagErrorf(format string, args ...any) error { return flagError(fmt.Sprintf(format, args...)) }

// unknownFlag is an option that does not exist; it is answered with the usage text too.
type unknownFlag struct{ flagError }

// parseFlags reads Mosquitto's command line from left to right, as Mosquitto does: the first mistake, -h or --version ends
// it, and what follows is not looked at. Errors are its sentences.
func parseFlags(args []string) (flags, error) {
	var f flags
	for i := 0; i < len(args) && !f.help && !f.version; i++ {
		value := func(name, missing string) (string, error) {
			if i+1 >= len(args) {
				return "", flagErrorf("%s argument given, but no %s specified.", name, missing)
			}
			i++
			return args[i], nil
		}
		var err error
		switch args[i] {
		case "-c", "--config-file":
			f.configFile, err = value("-c", "config file")
		case "-d", "--daemon":
			f.daemon = true
		case "-h", "--help":
			f.help = true
		case "-p", "--port":
			var text string
			if text, err = value("-p", "port"); err == nil {
				err = f.addPort(text)
			}
		case "-q", "--quiet":
			f.quiet = true
		case "-v", "--verbose":
			f.verbose = true
		case "--test-config":
			f.testConfig = true
		case "--tls-keylog":
			f.keyLog, err = value("--tls-keylog", "file")
		case "--version":
			f.version = true
		default:
			err = unknownFlag{flagError(fmt.Sprintf("Unknown option '%s'.", args[i]))}
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

// portsMax is how many -p a command line may have.
const portsMax = 10

func (f *flags) addPort(text string) error {
	if len(f.ports) == portsMax {
		return flagErrorf("Only %d ports can be specified on the command line.", portsMax)
	}
	n := leadingNumber(text)
	if n < 1 || n > 65535 {
		return flagErrorf("Invalid port specified (%d).", n)
	}
	f.ports = append(f.ports, uint16(n))
	return nil
}

// leadingNumber reads a number as Mosquitto does: what follows its digits is ignored, and no digits are 0. Beyond a
// million it stops counting.
func leadingNumber(text string) int {
	text = strings.TrimLeft(text, " \t\n\v\f\r")
	digits := strings.TrimPrefix(text, "-")
	sign := 1
	if len(digits) < len(text) {
		sign = -1
	} else {
		digits = strings.TrimPrefix(text, "+")
	}
	n := 0
	for i := 0; i < len(digits) && '0' <= digits[i] && digits[i] <= '9' && n < 1_000_000; i++ {
		n = n*10 + int(digits[i]-'0')
	}
	return sign * n
}

// usage is the help text, with the name the command was called by.
func usage(called string) string {
	name := filepath.Base(called)
	return strings.NewReplacer("NAME", name, "VERSION", version).Replace(`NAME version VERSION

NAME is an MQTT v5.0/v3.1.1/v3.1 broker.

Usage: NAME [-c config_file] [-d] [-h] [-p port] [-v]
                 [-q] [--test-config] [--tls-keylog file] [--version]

 -c : specify the broker config file.
 -d : put the broker into the background after starting.
 -h : display this help.
 -p : start the broker listening on the specified port.
      Without a configuration file that defines listeners it listens on the loopback
      addresses only, on port 1883 if -p is not given. May be given several times.
 -q : quiet mode: do not log anything, whatever the configuration file says.
 -v : verbose mode: log everything, whatever the configuration file says.
 --test-config : check the configuration file and exit.
 --tls-keylog : file for TLS session keys, for debugging.
 --version : print the version and exit.

Commands: NAME {bench|completion|config|db|passwd|signal|tune|version} ...
          "NAME COMMAND --help" explains each.
`)
}
