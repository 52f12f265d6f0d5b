namespace ColossalChat.Cluster;

/// <summary>Akka settings that a run rests on; the host puts them beneath the user's.</summary>
public static class RunHocon
{
    /// <summary>
    /// Dispatcher of all role code. Never the default one: that is the shared thread pool, which also drives timers and
    /// heartbeats, and a role keeps its thread for seconds.
    /// </summary>
    public const string RoleDispatcher = "rlhf.native-dispatcher";

    /// <summary>Dispatcher of what waits for the disk.</summary>
    public const string IoDispatcher = "rlhf.io-dispatcher";

    /// <summary>
    /// HOCON text. One role computes at a time on a device and the others wait for it on their threads, so a few threads
    /// are enough; each has its own team of libtorch workers, so many would be a waste.
    /// </summary>
    public const string Dispatchers = """
        akka.actor.provider = local
        rlhf {
          native-dispatcher {
            type = ForkJoinDispatcher
            throughput = 1
            dedicated-thread-pool {
              thread-count = 4
              threadtype = background
            }
          }
          io-dispatcher {
            type = ForkJoinDispatcher
            throughput = 1
            dedicated-thread-pool {
              thread-count = 2
              threadtype = background
            }
          }
        }
        """;
}
