package accounts

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"golang.org/x/crypto/argon2"
)

// Cost is the work of one Argon2id hash (RFC 9106).
type Cost struct {
	MemoryKiB uint32
	Passes    uint32
	Threads   uint8
}

// DefaultCost is 19 MiB, two passes and one thread, as OWASP's Password Storage Cheat Sheet has it: with two hashes at a
// time the server pays 38 MiB for logins, and pictures go on beside them.
func DefaultCost() Cost { return Cost{MemoryKiB: 19 * 1024, Passes: 2, Threads: 1} }

// The bounds of what a file may ask for.
const (
	maxMemoryKiB = 1 << 20
	maxPasses    = 16
	maxThreads   = 16
	saltBytes    = 16
	hashBytes    = 32
)

func (c Cost) validate() error {
	if c.MemoryKiB < 8*uint32(c.Threads) || c.MemoryKiB > maxMemoryKiB || c.Passes < 1 || c.Passes > maxPasses || c.Threads < 1 || c.Threads > maxThreads {
		return fmt.Errorf("a password hash of %d KiB, %d passes and %d threads is out of bounds", c.MemoryKiB, c.Passes, c.Threads)
	}
	return nil
}

// hashGrammar is the PHC string format, as the reference implementation of Argon2 writes it.
var hashGrammar = regexp.MustCompile(`^\$argon2id\$v=19\$m=([1-9][0-9]{0,6}),t=([1-9][0-9]?),p=([1-9][0-9]?)\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$`)

func hashPassword(password string, c Cost) string {
	var salt [saltBytes]byte
	_, _ = rand.Read(salt[:]) // never fails: crypto/rand ends the program instead
	hash := argon2.IDKey([]byte(password), salt[:], c.Passes, c.MemoryKiB, c.Threads, hashBytes)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", c.MemoryKiB, c.Passes, c.Threads, b64.EncodeToString(salt[:]), b64.EncodeToString(hash))
}

// parseHash reads what hashPassword wrote. Its error holds nothing of s.
func parseHash(s string) (c Cost, salt, hash []byte, err error) {
	m := hashGrammar.FindStringSubmatch(s)
	if m == nil {
		return Cost{}, nil, nil, errors.New("its password hash is damaged")
	}
	var n [3]uint64
	for i := range n {
		if n[i], err = strconv.ParseUint(m[1+i], 10, 32); err != nil {
			return Cost{}, nil, nil, errors.New("its password hash is damaged")
		}
	}
	c = Cost{MemoryKiB: uint32(n[0]), Passes: uint32(n[1]), Threads: uint8(n[2])} // two digits at most
	if err := c.validate(); err != nil {
		return Cost{}, nil, nil, err
	}
	salt, err = base64.RawStdEncoding.Strict().DecodeString(m[4])
	if err == nil {
		hash, err = base64.RawStdEncoding.Strict().DecodeString(m[5])
	}
	if err != nil {
		return Cost{}, nil, nil, errors.New("its password hash is damaged")
	}
	return c, salt, hash, nil
}

// costOf is the cost of a hash; zero where it is none.
func costOf(s string) Cost {
	c, _, _, _ := parseHash(s)
	return c
}

func samePassword(password, stored string) bool {
	c, salt, want, err := parseHash(stored)
	if err != nil {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, c.Passes, c.MemoryKiB, c.Threads, hashBytes)
	return subtle.ConstantTimeCompare(got, want) == 1
}
