// Package accounts keeps the people who log in by name and password, for those without an identity provider: who they are,
// their role and streams, and the hash of their password. It is a file that the server and the command line share. The
// package knows no HTTP and makes no sessions: a login is turned into a Principal. It starts no goroutines.
//
// # Logging in
//
// A name that does not exist costs the same work and gives the same answer as a wrong password. Hashes are computed few at
// a time, so that logins cannot eat the memory. Failures are slowed down by account and by source, and nobody is ever
// locked out: from where an account has logged in before, what strangers do to it does not count. Failures are remembered
// over restarts where that is asked for.
package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"sightline/internal/auth"
	"sightline/internal/datadir"
)

const (
	fileName = "accounts.json"
	lockName = "accounts.lock"
	version  = 1

	// InviteLifetime is how long a set-up code waits to be used.
	InviteLifetime = 72 * time.Hour
	// MinPassword is the shortest password in bytes. There are no rules about what is in it.
	MinPassword = 12
	// MaxPassword is the longest.
	MaxPassword = 256

	maxAccounts = 10_000
	maxFile     = 32 << 20
	maxKnown    = 8  // sources remembered for each account
	maxWaiting  = 64 // logins that wait for their hash
)

// The ways the people who keep the accounts are refused. What concerns logins wraps sentinels of auth.
var (
	ErrUnknown = errors.New("no such account")
	ErrExists  = errors.New("there is such an account already")
	// ErrPassword is a password that cannot be set: too short, too long, or no UTF-8. Its sentence is for the person.
	ErrPassword = errors.New("this password cannot be set")
)

var nameGrammar = regexp.MustCompile(`^[a-z0-9][a-z0-9._@+-]{0,63}$`)

// IsName tells whether an account may be called name.
func IsName(name string) bool { return nameGrammar.MatchString(name) }

// Role is what a person may do on their streams.
type Role string

// The roles.
const (
	Viewer   Role = "viewer"   // view
	Operator Role = "operator" // view and publish
	Admin    Role = "admin"    // view, publish and admin
)

// ParseRole reads a role's name. The error lists the names there are.
func ParseRole(s string) (Role, error) {
	switch r := Role(s); r {
	case Viewer, Operator, Admin:
		return r, nil
	}
	return "", fmt.Errorf("unknown role %.40q: want viewer, operator or admin", s)
}

// Grants is what the role allows on streams.
func (r Role) Grants(streams []auth.Pattern) []auth.Grant {
	actions := []auth.Action{auth.View}
	switch r {
	case Operator:
		actions = append(actions, auth.Publish)
	case Admin:
		actions = append(actions, auth.Publish, auth.Admin)
	}
	return []auth.Grant{{Actions: actions, Streams: streams}}
}

// Account is what may be seen of one.
type Account struct {
	Name     string // [a-z0-9][a-z0-9._@+-]{0,63}
	Role     Role
	Streams  []auth.Pattern
	Disabled bool
	Made     time.Time
	// Invited is until when its set-up code can be used; zero where there is none.
	Invited     time.Time
	HasPassword bool
}

// Options are the policy of a Book. Zero values stand for the defaults named beside them.
type Options struct {
	Now        func() time.Time // time.Now; a server gives a clock that never goes back
	SessionTTL time.Duration    // how long a login is good for; 12 h
	Cost       Cost             // DefaultCost; of new hashes, and of those that are checked and have another
	// Remember keeps failed logins in a file, so that a restart gives nobody new tries. It is for the one process that people log
	// in at.
	Remember bool
}

// Book is the accounts. Safe for concurrent use.
type Book struct {
	// static after construction
	dir     string
	now     func() time.Time
	ttl     time.Duration
	cost    Cost
	nobody  string // the hash of no password, compared with for names that do not exist
	replace func(dir, name string, data []byte) error
	limits  *limiter

	// A login holds one of these while its hash is computed: strangers wait for strangers only.
	strangers, friends chan struct{}
	waiting            atomic.Int32

	mu   sync.Mutex
	list []stored
	file os.FileInfo // that list was read from; nil for none
}

// stored is an account in the file.
type stored struct {
	Name     string         `json:"name"`
	Role     Role           `json:"role"`
	Streams  []auth.Pattern `json:"streams"`
	Disabled bool           `json:"disabled"`
	Made     time.Time      `json:"made"`
	Password string         `json:"password"` // as hashPassword writes it; "" until one is set
	Invite   *invite        `json:"invite,omitempty"`
	Known    []netip.Prefix `json:"known,omitempty"` // where it logged in from, the last one last
}

type invite struct {
	Hash    string    `json:"hash"` // base64 of the SHA-256 of the code
	Expires time.Time `json:"expires"`
}

// Open reads the accounts in dir, an existing directory. There need not be any.
func Open(dir string, opts Options) (*Book, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.SessionTTL == 0 {
		opts.SessionTTL = 12 * time.Hour
	}
	if opts.Cost == (Cost{}) {
		opts.Cost = DefaultCost()
	}
	if err := opts.Cost.validate(); err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	b := &Book{
		dir: dir, now: opts.Now, ttl: opts.SessionTTL, cost: opts.Cost, replace: datadir.Replace, limits: newLimiter(),
		nobody:    hashPassword(rand.Text(), opts.Cost),
		strangers: make(chan struct{}, 1), friends: make(chan struct{}, 1),
	}
	if _, err := b.current(); err != nil {
		return nil, err
	}
	if opts.Remember {
		if err := b.limits.remember(dir, b.now()); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// List is all accounts by name.
func (b *Book) List() ([]Account, error) {
	list, err := b.current()
	if err != nil {
		return nil, err
	}
	var accounts []Account
	for _, s := range list {
		a := Account{
			Name: s.Name, Role: s.Role, Streams: s.Streams, Disabled: s.Disabled, Made: s.Made, HasPassword: s.Password != "",
		}
		if s.Invite != nil && b.now().Before(s.Invite.Expires) {
			a.Invited = s.Invite.Expires
		}
		accounts = append(accounts, a)
	}
	slices.SortFunc(accounts, func(x, y Account) int { return strings.Compare(x.Name, y.Name) })
	return accounts, nil
}

// Add makes an account, which nobody can use before Invite or SetPassword. The error wraps ErrExists, or says what is
// wrong with the arguments.
func (b *Book) Add(name string, role Role, streams []auth.Pattern) error {
	return b.change("add account", func(list []stored) ([]stored, error) {
		if find(list, name) != nil {
			return nil, fmt.Errorf("%s: %w", name, ErrExists)
		}
		return append(list, stored{Name: name, Role: role, Streams: streams, Made: b.now().UTC().Truncate(time.Second)}), nil
	})
}

// Remove forgets an account. Sessions it has are not this room's to end: revoke its subject for that.
func (b *Book) Remove(name string) error {
	return b.change("remove account", func(list []stored) ([]stored, error) {
		if find(list, name) == nil {
			return nil, fmt.Errorf("%.64q: %w", name, ErrUnknown)
		}
		return slices.DeleteFunc(list, func(s stored) bool { return s.Name == name }), nil
	})
}

// Change gives an account another role and other streams. As with Remove, sessions it has go on with what they were let in by.
func (b *Book) Change(name string, role Role, streams []auth.Pattern) error {
	return b.changeOne("change account", name, func(s *stored) error {
		s.Role, s.Streams = role, streams
		return nil
	})
}

// Disable keeps an account from logging in, or lets it again. As with Remove, sessions it has go on.
func (b *Book) Disable(name string, disabled bool) error {
	return b.changeOne("change account", name, func(s *stored) error {
		s.Disabled = disabled
		return nil
	})
}

// SetPassword sets an account's password, ends its set-up code and forgets where it logged in from.
func (b *Book) SetPassword(name, password string) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	hash := hashPassword(password, b.cost)
	return b.changeOne("set password", name, func(s *stored) error {
		s.Password, s.Invite, s.Known = hash, nil, nil
		return nil
	})
}

// Invite makes a set-up code, with which the account's holder sets its password, once, within InviteLifetime. A code that
// was made before is dead. The password that there is stays good until then.
func (b *Book) Invite(name string) (code string, expires time.Time, err error) {
	code = rand.Text()
	expires = b.now().UTC().Truncate(time.Second).Add(InviteLifetime)
	err = b.changeOne("invite", name, func(s *stored) error {
		s.Invite = &invite{codeHash(code), expires}
		return nil
	})
	if err != nil {
		return "", time.Time{}, err
	}
	return code, expires, nil
}

// Accept sets the password of the account that code was made for and logs in as it. Of any number of concurrent callers
// with one code exactly one succeeds. The error wraps auth.ErrUsed, auth.ErrSlowDown or auth.ErrUnavailable, or
// ErrPassword, and then the code can still be used.
func (b *Book) Accept(ctx context.Context, code, password string, source netip.Addr) (auth.Principal, error) {
	if err := checkPassword(password); err != nil {
		return auth.Principal{}, err
	}
	if _, err := b.invited(code); err != nil { // before any work
		return auth.Principal{}, err
	}
	hash, err := b.work(ctx, b.strangers, func() string { return hashPassword(password, b.cost) })
	if err != nil {
		return auth.Principal{}, err
	}
	var account stored
	err = b.change("accept invitation", func(list []stored) ([]stored, error) {
		s := b.findInvite(list, code)
		if s == nil {
			return nil, auth.ErrUsed
		}
		s.Password, s.Invite, s.Known = hash, nil, []netip.Prefix{network(source)}
		account = *s
		return list, nil
	})
	if err != nil {
		return auth.Principal{}, err
	}
	return b.principal(account), nil
}

// invited finds the account that code was made for.
func (b *Book) invited(code string) (stored, error) {
	list, err := b.current()
	if err != nil {
		return stored{}, err
	}
	s := b.findInvite(list, code)
	if s == nil {
		return stored{}, fmt.Errorf("set-up code: %w", auth.ErrUsed)
	}
	return *s, nil
}

// findInvite returns nil for a code that is unknown, has expired, or whose account is disabled.
func (b *Book) findInvite(list []stored, code string) *stored {
	hash := codeHash(code)
	i := slices.IndexFunc(list, func(s stored) bool {
		return s.Invite != nil && s.Invite.Hash == hash && b.now().Before(s.Invite.Expires) && !s.Disabled
	})
	if i < 0 {
		return nil
	}
	return &list[i]
}

// Login returns who has logged in. source is the address they come from. The error wraps auth.ErrLogin whether the name does
// not exist, the account is disabled or has no password, or the password is wrong, after the same work; auth.ErrSlowDown
// when it was not even tried, as too many have failed; or auth.ErrUnavailable.
func (b *Book) Login(ctx context.Context, name, password string, source netip.Addr) (auth.Principal, error) {
	from := network(source)
	list, err := b.current()
	if err != nil {
		return auth.Principal{}, err
	}
	account := find(list, name)
	known := account != nil && slices.Contains(account.Known, from)
	attempt, err := b.limits.begin(b.now(), name, from, known)
	if err != nil {
		return auth.Principal{}, err
	}
	hash := b.nobody
	if account != nil && account.Password != "" {
		hash = account.Password
	}
	slot := b.strangers
	if known {
		slot = b.friends
	}
	right, err := b.work(ctx, slot, func() string {
		if len(password) <= MaxPassword && samePassword(password, hash) {
			return "right"
		}
		return ""
	})
	if err != nil {
		attempt.undo(b.now())
		return auth.Principal{}, err
	}
	// What was changed while the hash was computed counts.
	if list, err = b.current(); err != nil {
		return auth.Principal{}, err
	}
	account = find(list, name)
	switch {
	case account == nil:
		return auth.Principal{}, fmt.Errorf("login, no such account: %w", auth.ErrLogin)
	case account.Password != hash || right == "":
		return auth.Principal{}, fmt.Errorf("login, wrong password: %w", auth.ErrLogin)
	case account.Disabled:
		return auth.Principal{}, fmt.Errorf("login, account disabled: %w", auth.ErrLogin)
	}
	attempt.undo(b.now())
	fresh := hash
	if costOf(hash) != b.cost {
		if fresh, err = b.work(ctx, slot, func() string { return hashPassword(password, b.cost) }); err != nil {
			return auth.Principal{}, err
		}
	}
	if fresh != hash || !slices.Contains(account.Known, from) {
		if err := b.remember(name, hash, fresh, from); err != nil {
			return auth.Principal{}, err
		}
	}
	return b.principal(*account), nil
}

// Renew returns who a logged-in Viewer is now, with a new time to run, so that a screen that nobody sits at goes on: without the
// password, and so for no role that may do more than look. The error wraps auth.ErrNotAllowed when p is of no such account, or
// auth.ErrUnavailable.
func (b *Book) Renew(p auth.Principal) (auth.Principal, error) {
	list, err := b.current()
	if err != nil {
		return auth.Principal{}, err
	}
	s := find(list, p.Subject)
	if s == nil || s.Disabled || s.Role != Viewer || s.Made.After(p.Issued) {
		return auth.Principal{}, fmt.Errorf("renew the login of %s: %w", p.Subject, auth.ErrNotAllowed)
	}
	return b.principal(*s), nil
}

// remember notes where an account logged in from, and its password hashed anew where the cost has changed.
func (b *Book) remember(name, hash, fresh string, from netip.Prefix) error {
	return b.changeOne("login", name, func(s *stored) error {
		if s.Password == hash { // else it was set this moment
			s.Password = fresh
		}
		known := slices.DeleteFunc(slices.Clone(s.Known), func(p netip.Prefix) bool { return p == from })
		known = append(known, from)
		s.Known = known[max(0, len(known)-maxKnown):]
		return nil
	})
}

// work does what costs memory and time, few at once.
func (b *Book) work(ctx context.Context, slot chan struct{}, do func() string) (string, error) {
	if b.waiting.Add(1) > maxWaiting && slot == b.strangers {
		b.waiting.Add(-1)
		return "", fmt.Errorf("login: %w", auth.ErrSlowDown)
	}
	defer b.waiting.Add(-1)
	select {
	case slot <- struct{}{}:
	case <-ctx.Done():
		return "", fmt.Errorf("login: %w", ctx.Err())
	}
	defer func() { <-slot }()
	return do(), nil
}

func (b *Book) principal(s stored) auth.Principal {
	now := b.now()
	return auth.Principal{
		Subject: s.Name, ID: rand.Text(), Grants: s.Role.Grants(s.Streams), Issued: now, Expires: now.Add(b.ttl),
	}
}

func (b *Book) changeOne(what, name string, f func(*stored) error) error {
	return b.change(what, func(list []stored) ([]stored, error) {
		s := find(list, name)
		if s == nil {
			return nil, fmt.Errorf("%.64q: %w", name, ErrUnknown)
		}
		return list, f(s)
	})
}

// change reads the file, has f change a copy of the accounts, and writes it, alone among all processes.
func (b *Book) change(what string, f func([]stored) ([]stored, error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	unlock, err := datadir.Lock(b.dir, lockName)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer unlock()
	if err := b.read(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	list, err := f(slices.Clone(b.list))
	if err == nil {
		err = validate(list)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	data, err := format(list)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := b.replace(b.dir, fileName, data); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return b.read()
}

// current is the accounts as the file has them, not to be changed. The error wraps auth.ErrUnavailable: nobody logs in by
// what the file held once.
func (b *Book) current() ([]stored, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.read(); err != nil {
		return nil, fmt.Errorf("%w: %w", auth.ErrUnavailable, err)
	}
	return b.list, nil
}

// read reads the file when it is another than the last time. mu is held.
func (b *Book) read() error {
	path := filepath.Join(b.dir, fileName)
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		b.list, b.file = nil, nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	if b.file != nil && os.SameFile(b.file, info) && b.file.ModTime().Equal(info.ModTime()) && b.file.Size() == info.Size() {
		return nil
	}
	if info.Size() > maxFile {
		return fmt.Errorf("accounts file %s has %d bytes, over %d: restore it from a backup", path, info.Size(), maxFile)
	}
	data, err := datadir.ReadSecret(path)
	if err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	list, err := parse(data)
	if err != nil {
		return fmt.Errorf("accounts file %s: %w: restore it from a backup", path, err)
	}
	b.list, b.file = list, info
	return nil
}

type fileJSON struct {
	Version  int      `json:"version"`
	Accounts []stored `json:"accounts"`
}

func format(list []stored) ([]byte, error) {
	data, err := json.MarshalIndent(fileJSON{version, list}, "", "  ")
	return append(data, '\n'), err
}

// parse reads the accounts file. Errors hold nothing of its secrets.
func parse(data []byte) ([]stored, error) {
	var f fileJSON
	if err := auth.ReadJSON(data, []string{"version", "accounts", "name", "role", "streams", "disabled", "made", "password", "invite", "hash", "expires", "known"}, &f); err != nil {
		return nil, err
	}
	if f.Version != version {
		return nil, fmt.Errorf("its version is %d, this program reads %d", f.Version, version)
	}
	return f.Accounts, validate(f.Accounts)
}

func validate(list []stored) error {
	if len(list) > maxAccounts {
		return fmt.Errorf("%d accounts, over %d", len(list), maxAccounts)
	}
	seen := make(map[string]bool, len(list))
	for _, s := range list {
		if !nameGrammar.MatchString(s.Name) {
			return fmt.Errorf("account name %.64q: want lower-case letters, digits and ._@+- after a letter or digit, at most 64", s.Name)
		}
		if seen[s.Name] {
			return fmt.Errorf("account %s stands twice", s.Name)
		}
		seen[s.Name] = true
		if _, err := ParseRole(string(s.Role)); err != nil {
			return fmt.Errorf("account %s: %w", s.Name, err)
		}
		if len(s.Streams) == 0 {
			return fmt.Errorf("account %s has no streams: name one, a group such as site/**, or ** for all", s.Name)
		}
		for _, p := range s.Streams {
			if _, err := auth.ParsePattern(string(p)); err != nil {
				return fmt.Errorf("account %s: %w", s.Name, err)
			}
		}
		if _, _, _, err := parseHash(s.Password); s.Password != "" && err != nil {
			return fmt.Errorf("account %s: %w", s.Name, err)
		}
	}
	return nil
}

func find(list []stored, name string) *stored {
	i := slices.IndexFunc(list, func(s stored) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// network is what counts as one source: an IPv4 address, or the 64 bits of an IPv6 network that one subscriber has.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: all of those are one source
	}
	return p
}

func codeHash(code string) string {
	sum := sha256.Sum256([]byte(code))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func checkPassword(s string) error {
	if len(s) < MinPassword || len(s) > MaxPassword || !utf8.ValidString(s) {
		return fmt.Errorf("%w: it has %d bytes, want %d to %d of UTF-8", ErrPassword, len(s), MinPassword, MaxPassword)
	}
	return nil
}
