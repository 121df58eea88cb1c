"""What any operator needs: a queue, a loop, a cache, a client, a lease. It knows no kind."""
