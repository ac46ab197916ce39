package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Role says what a person may do in the web UI.
type Role string

const (
	// RoleAdmin may look and act: run, archive and delete tasks, pause queues.
	RoleAdmin Role = "admin"
	// RoleViewer may look, except at Redis' own INFO.
	RoleViewer Role = "viewer"
)

const (
	// maxNameLen and maxPasswordLen bound what a login is compared with, in bytes.
	maxNameLen     = 64
	maxPasswordLen = 1024

	// hashingAtOnce bounds the bcrypt comparisons that run side by side: each
	// takes a core for a tenth of a second or so, which belongs to the workers.
	hashingAtOnce = 2
)

// UIUser is one person who may log in to the web UI.
type UIUser struct {
	Name string
	// Password is either the password itself, as read from the environment, or
	// its bcrypt hash ("$2a$…", "$2b$…" or "$2y$…").
	Password string
	Role     Role
}

// String names the user and never the password, whatever prints it.
func (u UIUser) String() string { return fmt.Sprintf("%s (%s)", u.Name, u.Role) }

// GoString keeps the password out of %#v as well.
func (u UIUser) GoString() string { return u.String() }

// account is a UIUser as kept in memory: without the password itself.
type account struct {
	name string
	role Role
	// secret is the SHA-256 of UIUser.Password as configured. It proves a plain
	// password, and ties a session to it: another password ends the session.
	secret [sha256.Size]byte
	// hash is the bcrypt hash, nil where the password was given in plain.
	hash []byte
}

// directory knows the accounts by name and proves passwords.
type directory struct {
	accounts map[string]account
	decoy    []byte // a configured bcrypt hash, to be compared for unknown names
	hashing  chan struct{}
}

// newDirectory checks the users and returns one error naming every problem.
func newDirectory(users []UIUser) (*directory, error) {
	d := &directory{
		accounts: make(map[string]account, len(users)),
		hashing:  make(chan struct{}, hashingAtOnce),
	}
	var problems []error
	for i, u := range users {
		if err := d.add(u); err != nil {
			problems = append(problems, fmt.Errorf("http.ui_users[%d] %q: %w", i, u.Name, err))
		}
	}
	return d, errors.Join(problems...)
}

func (d *directory) add(u UIUser) error {
	switch _, taken := d.accounts[u.Name]; {
	case u.Name == "" || len(u.Name) > maxNameLen:
		return fmt.Errorf("name must have 1 to %d bytes", maxNameLen)
	case taken:
		return errors.New("name is given twice")
	case u.Password == "":
		return errors.New("password is empty: is its environment variable set?")
	case len(u.Password) > maxPasswordLen:
		return fmt.Errorf("password is longer than %d bytes", maxPasswordLen)
	case u.Role != RoleAdmin && u.Role != RoleViewer:
		return fmt.Errorf("role %q is unknown: use %q or %q", u.Role, RoleAdmin, RoleViewer)
	}
	a := account{name: u.Name, role: u.Role, secret: sha256.Sum256([]byte(u.Password))}
	if looksHashed(u.Password) {
		if _, err := bcrypt.Cost([]byte(u.Password)); err != nil {
			return errors.New("password starts like a bcrypt hash and is none: check that it is complete and quoted")
		}
		a.hash = []byte(u.Password)
		d.decoy = a.hash
	}
	d.accounts[u.Name] = a
	return nil
}

func looksHashed(password string) bool {
	return strings.HasPrefix(password, "$2a$") || strings.HasPrefix(password, "$2b$") || strings.HasPrefix(password, "$2y$")
}

// verify returns the account that name and password prove. An unknown name
// costs as much time as a known one with a hash, so that names cannot be found
// by timing. A cancelled ctx proves nothing.
func (d *directory) verify(ctx context.Context, name, password string) (account, bool) {
	a, known := d.accounts[name]
	if !known {
		a.hash = d.decoy
	}
	proven := d.compare(ctx, a, password)
	return a, known && proven
}

func (d *directory) compare(ctx context.Context, a account, password string) bool {
	if a.hash == nil {
		given := sha256.Sum256([]byte(password))
		return subtle.ConstantTimeCompare(given[:], a.secret[:]) == 1
	}
	select {
	case d.hashing <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-d.hashing }()
	return bcrypt.CompareHashAndPassword(a.hash, []byte(password)) == nil
}
