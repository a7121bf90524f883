// Transfer moves money between accounts from many goroutines; no unit is lost: transfer [DIRECTORY].
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"sync"

	"kist"
)

func account(i int) []byte { return []byte{'a', byte(i)} }

func balance(r kist.Reader, i int) (uint64, error) {
	value, err := r.Get(account(i))
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(value), nil
}

func transfer(txn *kist.Txn, ks *kist.Keyspace, from, to int) error {
	for _, move := range []struct {
		who int
		add uint64
	}{{from, ^uint64(0)}, {to, 1}} {
		n, err := balance(txn.Reader(ks), move.who)
		if err != nil {
			return err
		}
		value := binary.BigEndian.AppendUint64(nil, n+move.add)
		if err := txn.Put(ks, account(move.who), value); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	path := ":memory:"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	options, err := kist.ParseOptions("sync=never")
	check(err)
	db, err := kist.Open(path, options)
	check(err)
	defer db.Close()
	ks := db.Default()
	for i := 0; i < 8; i++ {
		check(ks.Put(account(i), binary.BigEndian.AppendUint64(nil, 1000)))
	}
	var group sync.WaitGroup
	for worker := 0; worker < 4; worker++ {
		worker := worker
		group.Add(1)
		go func() {
			defer group.Done()
			for i := 0; i < 200; i++ {
				from, to := (worker+i)%8, (3*worker+i*5+1)%8
				// Update begins again where another transaction was faster.
				check(db.Update(context.Background(), kist.Serializable, func(t *kist.Txn) error {
					return transfer(t, ks, from, to)
				}))
			}
		}()
	}
	group.Wait()
	total := uint64(0)
	for i := 0; i < 8; i++ {
		n, err := balance(ks.Reader, i)
		check(err)
		total += n
	}
	fmt.Println("in all accounts:", total)
	if total != 8000 {
		log.Fatal("money was lost")
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
