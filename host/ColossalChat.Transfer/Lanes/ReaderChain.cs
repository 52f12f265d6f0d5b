namespace ColossalChat.Transfer;

/// <summary>
/// Who reads a block from whom: each reader from the one that came before it, so that the publisher sends the block once. A
/// reader never depends on one that came later, unless that one has everything, so there are no circles. Safe to use from
/// several threads.
/// </summary>
internal sealed class ReaderChain
{
    private const int Most = 4096;
    private const int MostRefusals = 64;
    private readonly Lock _gate = new();
    private readonly List<Member> _members = [];
    private bool _isClosed;

    /// <summary>A reader comes, or comes back.</summary>
    /// <returns>From whom it reads; null for the publisher.</returns>
    public LaneParent? Join(LaneParent reader)
    {
        lock (_gate)
        {
            var place = _members.FindIndex(member => member.Address.Id == reader.Id);
            if (place < 0)
            {
                if (_members.Count >= Most)
                    return null;
                place = _members.Count;
                _members.Add(new Member(reader));
            }

            _members[place].IsThere = true;
            return ParentOf(place);
        }
    }

    /// <summary>A reader gets nothing from its parent.</summary>
    /// <returns>From whom it goes on; null for the publisher.</returns>
    public LaneParent? Lost(Guid reader, Guid parent)
    {
        lock (_gate)
        {
            var place = _members.FindIndex(member => member.Address.Id == reader);
            if (place < 0 || _members[place].Refused.Count >= MostRefusals)
                return null;
            _members[place].Refused.Add(parent);
            return ParentOf(place);
        }
    }

    /// <summary>A reader has everything.</summary>
    /// <returns>False when it may go: it cannot serve others, or nobody comes any more.</returns>
    public bool Complete(Guid reader)
    {
        lock (_gate)
        {
            if (_members.Find(member => member.Address.Id == reader) is not { } member)
                return false;
            member.IsComplete = true;
            return member.Address.Port > 0 && !_isClosed;
        }
    }

    /// <summary>A reader's connection to the publisher is gone.</summary>
    public void Left(Guid reader)
    {
        lock (_gate)
            if (_members.Find(member => member.Address.Id == reader) is { } member)
                member.IsThere = false;
    }

    /// <summary>No reader comes any more.</summary>
    public void Close()
    {
        lock (_gate)
            _isClosed = true;
    }

    /// <summary>True when a reader may be let go now.</summary>
    public bool MayGo(Guid reader)
    {
        lock (_gate)
            return _isClosed && _members.Find(member => member.Address.Id == reader) is null or { IsComplete: true };
    }

    private LaneParent? ParentOf(int place)
    {
        var reader = _members[place];
        for (var near = place - 1; near >= 0; near--)
            if (CanServe(_members[near], reader))
                return _members[near].Address;
        return _members.Skip(place + 1).FirstOrDefault(later => later.IsComplete && CanServe(later, reader))?.Address;
    }

    private static bool CanServe(Member member, Member reader) =>
        member.IsThere && member.Address.Port > 0 && !reader.Refused.Contains(member.Address.Id);

    private sealed class Member(LaneParent address)
    {
        public LaneParent Address => address;

        public bool IsThere { get; set; }

        public bool IsComplete { get; set; }

        public HashSet<Guid> Refused { get; } = [];
    }
}
