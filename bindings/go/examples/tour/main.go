// Tour shows each part of the package once: tour [DIRECTORY].
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"kist"
)

func main() {
	path := ":memory:"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	if err := tour(path); err != nil {
		log.Fatal(err)
	}
}

func tour(path string) error {
	options, err := kist.ParseOptions("sync=interval:50ms; cache_size=64MiB")
	if err != nil {
		return err
	}
	defer options.Close()
	db, err := kist.Open(path, options)
	if err != nil {
		return err
	}
	defer db.Close()
	users, err := db.OpenKeyspace("users", kist.ModeCreate, nil)
	if err != nil {
		return err
	}
	sessions, err := db.OpenKeyspace("sessions", kist.ModeCreate, nil)
	if err != nil {
		return err
	}

	// A batch over two keyspaces, all or nothing; one value expires.
	var batch kist.Batch
	batch.Put(users, []byte("ada"), []byte("Ada Lovelace"))
	batch.Put(users, []byte("alan"), []byte("Alan Turing"))
	batch.PutTTL(sessions, []byte("ada"), []byte("token"), time.Hour)
	seq, err := db.Write(&batch)
	if err != nil {
		return err
	}
	if err := db.WaitDurable(context.Background(), seq); err != nil {
		return err
	}
	left, err := sessions.TTL([]byte("ada"))
	if err != nil {
		return err
	}
	fmt.Println("the session lives for another", left.Round(time.Minute))

	// A snapshot does not see what comes later.
	snapshot, err := db.Snapshot()
	if err != nil {
		return err
	}
	defer snapshot.Close()
	if err := users.DeleteRange([]byte("a"), []byte("b")); err != nil {
		return err
	}
	if _, err := users.Get([]byte("ada")); !errors.Is(err, kist.ErrNotFound) {
		return err
	}
	it, err := snapshot.Reader(users).Scan(kist.ScanOptions{Prefix: []byte("a")})
	if err != nil {
		return err
	}
	defer it.Close()
	for it.Next() {
		fmt.Printf("%s is %s\n", it.Key(), it.Value())
	}
	return it.Err()
}
