namespace ColossalChat.Cluster;

/// <summary>Akka settings that a run rests on; the host puts them beneath the user's.</summary>
public static class RunHocon
{
    /// <summary>
    /// Dispatcher of all role code. Never the default one: that is the shared thread pool, which also drives timers and
    /// heartbeats, and a role keeps its thread for seconds.
    /// </summary>
    public const string RoleDispatcher = "rlhf.native-dispatcher";

    /// <summary>
    /// Dispatcher of what waits for the disk: checkpoints, the journal, keepers of role states, and the supervisors of runs and
    /// nodes, which must find a thread while two of the others wait.
    /// </summary>
    public const string IoDispatcher = "rlhf.io-dispatcher";

    /// <summary>Dispatcher of what waits for another node's parcels: a thread for each node, so that a silent one holds up nobody else.</summary>
    public const string ParcelDispatcher = "rlhf.parcel-dispatcher";

    /// <summary>
    /// HOCON text. Every role keeps a thread of its own: libtorch starts a team of workers for each thread that calls it,
    /// and a role that hops between threads leaves idle teams spinning beside the busy one (measured on two cores with a
    /// small model: 95 ms a training step on a shared pool of four threads, 63 ms on a pinned one).
    /// </summary>
    public const string Dispatchers = """
        akka.actor.provider = local
        rlhf {
          native-dispatcher {
            type = PinnedDispatcher
            throughput = 1
          }
          parcel-dispatcher {
            type = PinnedDispatcher
            throughput = 1
          }
          io-dispatcher {
            type = ForkJoinDispatcher
            throughput = 1
            dedicated-thread-pool {
              thread-count = 3
              threadtype = background
            }
          }
        }
        """;
}
