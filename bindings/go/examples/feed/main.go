// Feed copies a database to another one, commit by commit, as it is written: feed [DIRECTORY].
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"kist"
)

func main() {
	path := ":memory:"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	source, err := kist.Open(path, nil)
	check(err)
	defer source.Close()
	replica, err := kist.Open(":memory:", nil)
	check(err)
	defer replica.Close()

	feed, err := source.OpenFeed(0)
	check(err)
	defer feed.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			commit, err := feed.Next(context.Background())
			check(err)
			_, err = replica.WritePacked(commit.Packed, kist.WriteOptions{})
			check(err)
			if commit.Seq == 100 {
				return
			}
		}
	}()
	for i := 0; i < 100; i++ {
		check(source.Default().Put([]byte(fmt.Sprintf("key %02d", i)), []byte("value")))
	}
	<-done
	value, err := replica.Default().Get([]byte("key 99"))
	check(err)
	fmt.Printf("the replica has %s\n", value)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
