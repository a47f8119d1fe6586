package main

import (
	"fmt"
	"path/filepath"
	"strconv"
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

// parseFlags reads Mosquitto's command line; errors are its sentences.
func parseFlags(args []string) (flags, error) {
	var f flags
	for i := 0; i < len(args); i++ {
		value := func(missing string) (string, error) {
			if i+1 >= len(args) {
				return "", flagErrorf("%s argument given, but no %s specified.", args[i], missing)
			}
			i++
			return args[i], nil
		}
		var err error
		switch args[i] {
		case "-c", "--config-file":
			if f.configFile, err = value("config file"); err != nil && args[i] == "--config-file" {
				err = flagErrorf("-c argument given, but no config file specified.")
			}
		case "-d", "--daemon":
			f.daemon = true
		case "-h", "--help":
			f.help = true
		case "-p", "--port":
			var text string
			if text, err = value("port"); err == nil {
				err = f.addPort(text)
			}
		case "-q", "--quiet":
			f.quiet = true
		case "-v", "--verbose":
			f.verbose = true
		case "--test-config":
			f.testConfig = true
		case "--tls-keylog":
			f.keyLog, err = value("file")
		case "--version":
			f.version = true
		default:
			err = flagErrorf("Unknown option '%s'.", args[i])
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

// portsMax is how many -p a command line may have.
const portsMax = 16

func (f *flags) addPort(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 {
		return flagErrorf("Invalid port specified (%s).", text)
	}
	if len(f.ports) == portsMax {
		return flagErrorf("Only %d ports can be specified.", portsMax)
	}
	f.ports = append(f.ports, uint16(n))
	return nil
}

// usage is the help text, with the name the command was called by.
func usage(called string) string {
	name := filepath.Base(called)
	return strings.NewReplacer("NAME", name, "VERSION", version).Replace(`NAME version VERSION

NAME is an MQTT v5.0/v3.1.1/v3.1 broker.

Usage: NAME [-c config_file] [-d] [-h] [-p port] [-v]
                 [--test-config] [--tls-keylog file] [--version]

 -c : specify the broker config file.
 -d : put the broker into the background after starting.
 -h : display this help.
 -p : start the broker listening on the specified port.
      Without a configuration file that defines listeners it listens on the loopback
      addresses only, on port 1883 if -p is not given. May be given several times.
 -q : quiet mode: do not log anything, whatever the configuration file says.
 -v : verbose mode: log everything, whatever the configuration file says.
 --test-config : check the configuration file and exit.
 --tls-keylog : file for TLS keys, for debugging; this build has no TLS.
 --version : print the version and exit.
`)
}
