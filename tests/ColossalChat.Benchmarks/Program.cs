using System.Globalization;
using ColossalChat.Benchmarks;

// Programs that measure and print JSON; nothing here is a test.
ThreadPool.SetMinThreads(64, 64);
return args switch
{
    ["scale", .. var roles] => ScaleBenchmark.Run([.. roles.DefaultIfEmpty("10,100,500").SelectMany(list => list.Split(',')).Select(count => int.Parse(count, CultureInfo.InvariantCulture))]),
    ["scale-node", var seed, var count] => ScaleBenchmark.Host(seed, int.Parse(count, CultureInfo.InvariantCulture)),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("scale [10,100,500]    what a batch costs the coordinator with so many role actors in another process");
    return 2;
}
