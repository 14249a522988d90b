// Package invitations lets people in who have no account: by a link that some of them may use, for a while, to view some
// streams. It keeps who was invited in a file, with the hash of each link's code, and knows no HTTP and no sessions: a code
// is turned into a Principal. It starts no goroutines.
package invitations

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"sightline/internal/auth"
	"sightline/internal/datadir"
)

const (
	fileName = "invitations.json"
	version  = 1

	// MaxUses is how many people one invitation can let in at most.
	MaxUses = 1000
	// MinLifetime is the shortest that an invitation is good for.
	MinLifetime = time.Minute
	// MaxLifetime is the longest.
	MaxLifetime = 30 * 24 * time.Hour

	maxInvitations = 1000
	// subjectPrefix stands before an invitation's name in its guests' subjects. No account and no issuer has a slash.
	subjectPrefix = "guest/"
)

// The ways whoever keeps the invitations is refused.
var (
	ErrUnknown = errors.New("no such invitation")
	ErrExists  = errors.New("there is such an invitation already")
	// ErrInvalid is what Make cannot make; the error's text says why.
	ErrInvalid = errors.New("no such invitation can be made")
)

var nameGrammar = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,39}$`)

// Invitation is what may be seen of one.
type Invitation struct {
	Name    string         `json:"name"` // [a-z0-9][a-z0-9._-]{0,39}
	Streams []auth.Pattern `json:"streams"`
	Made    time.Time      `json:"made"`
	// Expires is when it lets nobody in any more, and when the sessions of those it let in end.
	Expires time.Time `json:"expires"`
	Uses    int       `json:"uses"` // how many times it lets somebody in
	Used    int       `json:"used"` // how many times it has
}

// Subject is under whose name those are who came by the invitation.
func (i Invitation) Subject() string { return subjectPrefix + i.Name }

// stored is an invitation in the file.
type stored struct {
	Invitation
	Hash string `json:"hash"` // base64 of the SHA-256 of the code
}

// Options are the policy of a Book. Zero values stand for the defaults named beside them.
type Options struct {
	Now        func() time.Time // time.Now; a server gives a clock that never goes back
	SessionTTL time.Duration    // how long a guest's session lasts at most; 12 h
}

// Book is the invitations. Safe for concurrent use by one process.
type Book struct {
	// static after construction
	dir     string
	now     func() time.Time
	ttl     time.Duration
	replace func(dir, name string, data []byte) error

	mu   sync.Mutex
	list []stored // as the file has them; guarded by mu
}

// Open reads the invitations in dir, an existing directory. There need not be any.
func Open(dir string, opts Options) (*Book, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.SessionTTL == 0 {
		opts.SessionTTL = 12 * time.Hour
	}
	b := &Book{dir: dir, now: opts.Now, ttl: opts.SessionTTL, replace: datadir.Replace}
	path := filepath.Join(dir, fileName)
	data, _, err := datadir.Secret(dir, fileName, func() ([]byte, error) { return format(nil) })
	if err != nil {
		return nil, fmt.Errorf("invitations: %w", err)
	}
	if b.list, err = parse(data); err != nil {
		return nil, fmt.Errorf("invitations file %s: %w: restore it from a backup, or delete it", path, err)
	}
	return b, nil
}

// List is all invitations that have not expired, by name.
func (b *Book) List() []Invitation {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := []Invitation{}
	for _, s := range b.current() {
		list = append(list, s.Invitation)
	}
	slices.SortFunc(list, func(x, y Invitation) int { return strings.Compare(x.Name, y.Name) })
	return list
}

// current is what has not expired. mu is held.
func (b *Book) current() []stored {
	now := b.now()
	return slices.DeleteFunc(slices.Clone(b.list), func(s stored) bool { return !now.Before(s.Expires) })
}

// Make makes an invitation, and the code that its link carries. The error wraps ErrExists, or ErrInvalid with one sentence
// about what is wrong with the arguments.
func (b *Book) Make(name string, streams []auth.Pattern, uses int, lifetime time.Duration) (code string, i Invitation, err error) {
	switch {
	case !nameGrammar.MatchString(name):
		err = fmt.Errorf("%w: the name %.40q is none: want lower-case letters, digits and ._- after a letter or digit, at most 40", ErrInvalid, name)
	case len(streams) == 0:
		err = fmt.Errorf("%w: it names no streams: name one, a group such as site/**, or ** for all", ErrInvalid)
	case uses < 1 || uses > MaxUses:
		err = fmt.Errorf("%w: it is for %d people: want 1 to %d", ErrInvalid, uses, MaxUses)
	case lifetime < MinLifetime || lifetime > MaxLifetime:
		err = fmt.Errorf("%w: it lasts %s: want a minute to 30 days", ErrInvalid, lifetime)
	}
	if err != nil {
		return "", i, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.current()
	if slices.ContainsFunc(list, func(s stored) bool { return s.Name == name }) {
		return "", i, fmt.Errorf("invite %s: %w", name, ErrExists)
	}
	if len(list) >= maxInvitations {
		return "", i, fmt.Errorf("%w: there are %d already: take one back first", ErrInvalid, len(list))
	}
	now := b.now().UTC().Truncate(time.Second)
	i = Invitation{Name: name, Streams: slices.Clone(streams), Made: now, Expires: now.Add(lifetime), Uses: uses}
	code = rand.Text()
	return code, i, b.write(append(list, stored{i, hashOf(code)}))
}

// Remove takes an invitation back. Sessions of its guests are not this room's to end: revoke its subject for that. The error
// wraps ErrUnknown.
func (b *Book) Remove(name string) (Invitation, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.current()
	n := slices.IndexFunc(list, func(s stored) bool { return s.Name == name })
	if n < 0 {
		return Invitation{}, fmt.Errorf("%.40q: %w", name, ErrUnknown)
	}
	i := list[n].Invitation
	return i, b.write(slices.Delete(list, n, n+1))
}

// Redeem lets in who has code: a viewer of the invitation's streams, until it expires or the longest session is over. Of any
// number of concurrent callers as many succeed as it has uses. The error wraps auth.ErrUsed, auth.ErrExpired or
// auth.ErrUnavailable.
func (b *Book) Redeem(code string) (auth.Principal, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := slices.Clone(b.list)
	hash := hashOf(code)
	n := slices.IndexFunc(list, func(s stored) bool { return s.Hash == hash })
	if n < 0 || list[n].Used >= list[n].Uses {
		return auth.Principal{}, fmt.Errorf("invitation: %w", auth.ErrUsed)
	}
	now := b.now()
	if !now.Before(list[n].Expires) {
		return auth.Principal{}, fmt.Errorf("invitation: %w", auth.ErrExpired)
	}
	list[n].Used++
	if err := b.write(list); err != nil {
		return auth.Principal{}, fmt.Errorf("invitation: %w: %w", auth.ErrUnavailable, err)
	}
	i := list[n].Invitation
	expires := now.Add(b.ttl)
	if i.Expires.Before(expires) {
		expires = i.Expires
	}
	return auth.Principal{
		Subject: i.Subject(), ID: rand.Text(), Grants: []auth.Grant{auth.Allow(auth.View, i.Streams...)}, Issued: now, Expires: expires,
	}, nil
}

// write puts list in the place of what there is. mu is held.
func (b *Book) write(list []stored) error {
	data, err := format(list)
	if err == nil {
		err = b.replace(b.dir, fileName, data)
	}
	if err != nil {
		return fmt.Errorf("invitations: %w", err)
	}
	b.list = list
	return nil
}

type fileJSON struct {
	Version     int      `json:"version"`
	Invitations []stored `json:"invitations"`
}

func format(list []stored) ([]byte, error) {
	if list == nil {
		list = []stored{}
	}
	data, err := json.MarshalIndent(fileJSON{version, list}, "", "  ")
	return append(data, '\n'), err
}

// parse reads the file. Errors hold nothing of its secrets.
func parse(data []byte) ([]stored, error) {
	var f fileJSON
	if err := auth.ReadJSON(data, []string{"version", "invitations", "name", "streams", "made", "expires", "uses", "used", "hash"}, &f); err != nil {
		return nil, err
	}
	if f.Version != version {
		return nil, fmt.Errorf("its version is %d, this program reads %d", f.Version, version)
	}
	if len(f.Invitations) > maxInvitations {
		return nil, fmt.Errorf("%d invitations, over %d", len(f.Invitations), maxInvitations)
	}
	seen := map[string]bool{}
	for _, s := range f.Invitations {
		if !nameGrammar.MatchString(s.Name) || seen[s.Name] {
			return nil, fmt.Errorf("the name %.40q is none, or stands twice", s.Name)
		}
		seen[s.Name] = true
		if hash, err := base64.RawURLEncoding.DecodeString(s.Hash); err != nil || len(hash) != sha256.Size {
			return nil, fmt.Errorf("invitation %s has no hash", s.Name)
		}
		if s.Uses < 1 || s.Uses > MaxUses || s.Used < 0 || s.Used > s.Uses || len(s.Streams) == 0 {
			return nil, fmt.Errorf("invitation %s has numbers out of bounds, or no streams", s.Name)
		}
		for _, p := range s.Streams {
			if _, err := auth.ParsePattern(string(p)); err != nil {
				return nil, fmt.Errorf("invitation %s: %w", s.Name, err)
			}
		}
	}
	return f.Invitations, nil
}

func hashOf(code string) string {
	sum := sha256.Sum256([]byte(code))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
