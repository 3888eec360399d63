// Verify checks a transparency log on disk with Go's own implementation of signed notes and Merkle trees
// (golang.org/x/mod/sumdb), which shares no code with the program that wrote the log.
//
// It checks the signed checkpoint, inclusion of some entries, consistency with an older size, every tile and every
// entry, and optionally a receipt. It prints one line per check and exits 1 at the first failure.
//
// Build, on Debian with golang-go and golang-golang-x-mod-dev:
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go build -o verify verify.go
//
// Usage: verify [flags] LOGDIR
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

func main() {
	vkeyFlag := flag.String("vkey", "", "verifier key; by default the one in LOGDIR/vkey, which proves less")
	indices := flag.String("index", "", "comma-separated indices to prove; by default four at random")
	old := flag.Int64("old", -1, "older size to prove consistency with; by default one at random")
	full := flag.Bool("full", true, "check every tile and every entry")
	receipt := flag.String("receipt", "", "also check the receipt in this file")
	entry := flag.String("entry", "", "the entry that the receipt is for; by default as stored in LOGDIR")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(64)
	}
	if err := verify(flag.Arg(0), *vkeyFlag, *indices, *old, *full, *receipt, *entry); err != nil {
		fmt.Fprintln(os.Stderr, "verify:", err)
		os.Exit(1)
	}
}

func verify(dir, vkey, indices string, old int64, full bool, receipt, entry string) error {
	if vkey == "" {
		stored, err := os.ReadFile(filepath.Join(dir, "vkey"))
		if err != nil {
			return err
		}
		vkey = strings.TrimSuffix(string(stored), "\n")
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	signed, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := openCheckpoint(signed, verifier)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	fmt.Printf("checkpoint ok: %s size=%d root=%s\n", verifier.Name(), tree.N, tree.Hash)

	tiles := &tileDir{dir: dir}
	hashes := tlog.TileHashReader(tree, tiles)
	random := rand.New(rand.NewSource(time.Now().UnixNano()))
	chosen, err := choose(indices, tree.N, random)
	if err != nil {
		return err
	}
	start := time.Now()
	for _, index := range chosen {
		if err := checkInclusion(dir, tree, index, hashes); err != nil {
			return fmt.Errorf("inclusion of %d: %w", index, err)
		}
	}
	fmt.Printf("inclusion ok: %d entries %v in %v, %d tiles read\n", len(chosen), chosen, time.Since(start), tiles.count)

	if old < 0 {
		old = random.Int63n(tree.N + 1)
	}
	start = time.Now()
	if err := checkConsistency(tree, old, hashes); err != nil {
		return fmt.Errorf("consistency of %d with %d: %w", old, tree.N, err)
	}
	fmt.Printf("consistency ok: %d is a prefix of %d, %v\n", old, tree.N, time.Since(start))

	if receipt != "" {
		if err := checkReceipt(dir, receipt, entry, verifier); err != nil {
			return fmt.Errorf("receipt %s: %w", receipt, err)
		}
		fmt.Println("receipt ok")
	}
	if full {
		start = time.Now()
		count, err := audit(dir, tree)
		if err != nil {
			return fmt.Errorf("full audit: %w", err)
		}
		elapsed := time.Since(start)
		fmt.Printf("full audit ok: %d entries, %d bytes in %v = %.0f entries/s\n",
			tree.N, count, elapsed, float64(tree.N)/elapsed.Seconds())
	}
	return nil
}

// openCheckpoint verifies the signature and reads origin, size and root. The note package is lenient about the spelling
// of base64; a log that promises to notice any changed bit must not be, so the note is written again and compared.
func openCheckpoint(signed []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	again := opened.Text + "\n"
	for _, line := range strings.SplitAfter(string(signed[len(again):]), "\n") {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if len(fields) != 3 {
			continue
		}
		raw, err := base64.StdEncoding.Strict().DecodeString(fields[2])
		if err != nil {
			return tlog.Tree{}, fmt.Errorf("signature of %s: %w", fields[1], err)
		}
		again += fields[0] + " " + fields[1] + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
	}
	if again != string(signed) {
		return tlog.Tree{}, errors.New("not in the canonical spelling")
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		return tlog.Tree{}, errors.New("not the three lines origin, size and root")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fmt.Errorf("malformed size %q", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return tlog.Tree{}, err
	}
	return tlog.Tree{N: size, Hash: root}, nil
}

func choose(list string, size int64, random *rand.Rand) ([]int64, error) {
	var chosen []int64
	if list == "" {
		for i := 0; i < 4 && size > 0; i++ {
			chosen = append(chosen, random.Int63n(size))
		}
		return chosen, nil
	}
	for _, text := range strings.Split(list, ",") {
		index, err := strconv.ParseInt(text, 10, 64)
		if err != nil || index < 0 || index >= size {
			return nil, fmt.Errorf("no entry %q in a log of %d", text, size)
		}
		chosen = append(chosen, index)
	}
	return chosen, nil
}

func checkInclusion(dir string, tree tlog.Tree, index int64, hashes tlog.HashReader) error {
	proof, err := tlog.ProveRecord(tree.N, index, hashes)
	if err != nil {
		return err
	}
	entries, err := readBundle(dir, index/tileWidth, tree.N)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entries[index%tileWidth]))
}

func checkConsistency(tree tlog.Tree, old int64, hashes tlog.HashReader) error {
	if old == 0 || tree.N == 0 {
		return nil // The empty tree is a prefix of every tree.
	}
	oldRoot, err := tlog.TreeHash(old, hashes)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveTree(tree.N, old, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, old, oldRoot)
}

func checkReceipt(dir, path, entryPath string, verifier note.Verifier) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, signed, found := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a receipt")
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return errors.New("no index")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	if err != nil || index < 0 {
		return errors.New("malformed index")
	}
	var proof tlog.RecordProof
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	tree, err := openCheckpoint([]byte(signed), verifier)
	if err != nil {
		return err
	}
	if index >= tree.N {
		return errors.New("index beyond the log")
	}
	var entry []byte
	if entryPath != "" {
		entry, err = os.ReadFile(entryPath)
	} else {
		var entries [][]byte
		if entries, err = readBundle(dir, index/tileWidth, tree.N); err == nil {
			entry = entries[index%tileWidth]
		}
	}
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}

// audit recomputes everything from the entries and compares it with what is stored. It returns the bytes read.
func audit(dir string, tree tlog.Tree) (int64, error) {
	var total int64
	var level []tlog.Hash // All hashes of the level below the one being checked.
	for n := int64(0); n*tileWidth < tree.N; n++ {
		entries, err := readBundle(dir, n, tree.N)
		if err != nil {
			return total, err
		}
		for _, entry := range entries {
			level = append(level, tlog.RecordHash(entry))
			total += int64(len(entry)) + 2
		}
	}
	if len(level) == 0 {
		if want := tlog.Hash(sha256OfNothing); tree.Hash != want {
			return total, errors.New("root of the empty log is wrong")
		}
		return total, nil
	}
	root := treeHash(level)
	if root != tree.Hash {
		return total, fmt.Errorf("entries hash to %s, not to the root of the checkpoint", root)
	}
	for l := 0; len(level) > 0; l++ {
		var above []tlog.Hash
		for n := 0; n*tileWidth < len(level); n++ {
			row := level[n*tileWidth:]
			if len(row) > tileWidth {
				row = row[:tileWidth]
			}
			tile := tlog.Tile{H: tileHeight, L: l, N: int64(n), W: len(row)}
			stored, path, err := readTile(dir, tile)
			if err != nil {
				return total, err
			}
			for i, hash := range row {
				if !bytes.Equal(stored[i*tlog.HashSize:(i+1)*tlog.HashSize], hash[:]) {
					return total, fmt.Errorf("%s: hash %d is wrong", path, i)
				}
			}
			total += int64(len(stored))
			if len(row) == tileWidth {
				above = append(above, treeHash(row))
			}
		}
		level = above
	}
	return total, nil
}

var sha256OfNothing = func() (hash tlog.Hash) {
	hash, err := tlog.ParseHash("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
	if err != nil {
		panic(err)
	}
	return hash
}()

// treeHash is the recursive definition of RFC 6962, section 2.1.
func treeHash(leaves []tlog.Hash) tlog.Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	split := 1
	for split*2 < len(leaves) {
		split *= 2
	}
	return tlog.NodeHash(treeHash(leaves[:split]), treeHash(leaves[split:]))
}

// readBundle returns the entries of bundle n in a log of the given size; anything before, between or after them is an
// error.
func readBundle(dir string, n, size int64) ([][]byte, error) {
	width := size - n*tileWidth
	if width > tileWidth {
		width = tileWidth
	}
	tile := tlog.Tile{H: tileHeight, L: 0, N: n, W: int(width)}
	path := strings.Replace(tilePath(tile), "tile/0/", "tile/entries/", 1)
	expected := width
	rest, err := os.ReadFile(filepath.Join(dir, path))
	if errors.Is(err, os.ErrNotExist) && width < tileWidth {
		tile.W, expected = tileWidth, tileWidth
		path = strings.Replace(tilePath(tile), "tile/0/", "tile/entries/", 1)
		rest, err = os.ReadFile(filepath.Join(dir, path))
	}
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for i := int64(0); i < expected; i++ {
		if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16(rest)) {
			return nil, fmt.Errorf("%s: ends within entry %d", path, n*tileWidth+i)
		}
		end := 2 + int(binary.BigEndian.Uint16(rest))
		entries = append(entries, rest[2:end])
		rest = rest[end:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%s: %d bytes after the last entry", path, len(rest))
	}
	return entries[:width], nil
}

// readTile returns the hashes of a tile and its path. A log may drop a partial tile once the full one exists.
func readTile(dir string, tile tlog.Tile) ([]byte, string, error) {
	path, width := tilePath(tile), tile.W
	stored, err := os.ReadFile(filepath.Join(dir, path))
	if errors.Is(err, os.ErrNotExist) && tile.W < tileWidth {
		wider := tile
		wider.W, width = tileWidth, tileWidth
		path = tilePath(wider)
		stored, err = os.ReadFile(filepath.Join(dir, path))
	}
	if err != nil {
		return nil, path, err
	}
	if len(stored) != width*tlog.HashSize {
		return nil, path, fmt.Errorf("%s: %d bytes long", path, len(stored))
	}
	return stored[:tile.W*tlog.HashSize], path, nil
}

// tilePath drops the tile height from the path that Go uses.
func tilePath(tile tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight))
}

// tileDir gives the tiles of a directory to the tlog package, which authenticates them.
type tileDir struct {
	dir   string
	count int
}

func (d *tileDir) Height() int { return tileHeight }

func (d *tileDir) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		stored, _, err := readTile(d.dir, tile)
		if err != nil {
			return nil, err
		}
		d.count++
		all = append(all, stored)
	}
	return all, nil
}

func (d *tileDir) SaveTiles([]tlog.Tile, [][]byte) {}
