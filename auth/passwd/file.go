package passwd

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/noctulemq/noctule/auth"
)

// fileBytesMax bounds a file; a broker loads no larger one.
const fileBytesMax = 64 << 20

// symlinks names the variable of the environment that, set, lets files be symbolic links.
const symlinks = "MOSQUITTO_UNSAFE_ALLOW_SYMLINKS"

// line is one line of a password file. user is empty in blank lines and comments.
type line struct {
	text string // without the line feed
	user string
	rest string // behind the first colon, without blanks around it
}

// entry makes the line of a user.
func (o *options) entry(user, password string) line {
	hash := auth.EncodePassword(o.scheme, []byte(password), o.iterations)
	return line{text: user + ":" + hash, user: user, rest: hash}
}

// split reads the lines of a file.
func split(data string) ([]line, error) {
	var lines []line
	n := 0
	for text := range strings.Lines(data) {
		n++
		l := line{text: strings.TrimSuffix(text, "\n")}
		trimmed := strings.Trim(l.text, " \t\n\v\f\r")
		if trimmed != "" && trimmed[0] != '#' {
			var found bool
			if l.user, l.rest, found = strings.Cut(trimmed, ":"); !found || l.user == "" {
				return nil, corrupt(n)
			}
			l.rest = strings.Trim(l.rest, " \t")
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func corrupt(n int) error { return complain("Error: Corrupt password file at line %d.", n) }

// set puts an entry in the place of the user's first line, and removes the others; a new user comes last.
func set(lines []line, entry line) []line {
	first := slices.IndexFunc(lines, func(l line) bool { return l.user == entry.user })
	if first < 0 {
		return append(lines, entry)
	}
	lines[first] = entry
	tail := slices.DeleteFunc(lines[first+1:], func(l line) bool { return l.user == entry.user })
	return lines[:first+1+len(tail)]
}

// removeUser deletes the lines of a user.
func (o *options) removeUser(lines []line) ([]line, error) {
	before := len(lines)
	lines = slices.DeleteFunc(lines, func(l line) bool { return l.user == o.user })
	if len(lines) == before {
		return nil, complain("Warning: User %s not found in password file.", o.user)
	}
	return lines, nil
}

// hashPlain hashes every password that is not hashed. A hash that cannot be decoded is not taken for a password.
func (o *options) hashPlain(lines []line) ([]line, error) {
	for i, l := range lines {
		switch {
		case l.user == "" || auth.IsEncoded(l.rest):
		case l.rest == "", strings.HasPrefix(l.rest, "$6$"), strings.HasPrefix(l.rest, "$7$"),
			strings.HasPrefix(l.rest, "$argon2id$"):
			return nil, corrupt(i + 1)
		default:
			if err := checkPassword(l.rest); err != nil {
				return nil, err
			}
			lines[i] = o.entry(l.user, l.rest)
		}
	}
	return lines, nil
}

// open opens a file to read it.
func open(path string) (*os.File, error) {
	flags := os.O_RDONLY
	if _, allowed := os.LookupEnv(symlinks); !allowed {
		flags |= syscall.O_NOFOLLOW
	}
	f, err := os.OpenFile(path, flags, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, complain("Error: Unable to open password file %s. It is a symbolic link: name the file that it leads to, "+
			"or set %s.", path, symlinks)
	}
	if err == nil {
		if info, statErr := f.Stat(); statErr == nil && info.IsDir() {
			f.Close()
			err = syscall.EISDIR
		}
	}
	if err != nil {
		return nil, complain("Error: Unable to open password file %s. %s.", path, reason(err))
	}
	return f, nil
}

// change reads a file, edits its lines and writes it. What edit refuses leaves the file as it was.
func change(path string, edit func([]line) ([]line, error)) error {
	f, err := open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err != nil {
		return complain("Error: Unable to read password file %s. %s.", path, reason(err))
	}
	if len(data) > fileBytesMax {
		return complain("Error: Password file %s is larger than %d bytes.", path, fileBytesMax)
	}
	lines, err := split(string(data))
	if err != nil {
		return err
	}
	if lines, err = edit(lines); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return complain("Error: Unable to read password file %s. %s.", path, reason(err))
	}
	return write(path, info, lines)
}

// create writes a new file, or over one that exists and that keeps its mode and owner.
func create(path string, lines []line) error {
	info, err := os.Lstat(path)
	if err != nil {
		return write(path, nil, lines) // it does not exist, or the attempt says what is wrong
	}
	if info.Mode()&os.ModeType == 0 {
		return write(path, info, lines)
	}
	f, err := open(path) // a link that is allowed, or the refusal
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return complain("Error: Unable to read password file %s. %s.", path, reason(err))
	}
	return write(path, info, lines)
}

// write puts lines into a file. info is of the present file, nil if there is none; a new one can be read by its owner only.
//
// The new text replaces the old one in one step, so that a broker reading it sees one or the other. Where that cannot be
// (the file is mounted by itself into a container, the directory may not be written, the owner could not be kept), the file
// is written over.
func write(path string, info os.FileInfo, lines []line) error {
	var data bytes.Buffer
	for _, l := range lines {
		data.WriteString(l.text)
		data.WriteByte('\n')
	}
	if _, allowed := os.LookupEnv(symlinks); allowed {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
	}
	err := replace(path, info, data.Bytes())
	if err != nil && info != nil && !errors.Is(err, syscall.ENOSPC) {
		err = overwrite(path, data.Bytes())
	}
	if err != nil {
		return complain("Error: Unable to open file %s for writing. %s.", path, reason(err))
	}
	return nil
}

// replace writes a temporary file beside the old one and renames it.
func replace(path string, info os.FileInfo, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if info != nil {
		if err := keepOwner(f, info); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync() // the file is whole either way
		dir.Close()
	}
	return nil
}

// keepOwner gives a file the owner and mode of another one.
func keepOwner(f *os.File, info os.FileInfo) error {
	if old, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := f.Chown(int(old.Uid), int(old.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(info.Mode().Perm())
}

// overwrite writes over a file.
func overwrite(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// reason is what the operating system says, as C programs write it.
func reason(err error) string {
	var number syscall.Errno
	if !errors.As(err, &number) {
		return err.Error()
	}
	text := []rune(number.Error())
	text[0] = unicode.ToUpper(text[0])
	return string(text)
}
